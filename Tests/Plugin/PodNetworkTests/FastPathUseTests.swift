import JSON
@testable import PodNetwork
import Testing

/// Which configurations allow the fast path.
@Suite struct FastPathUseTests {
  @Test(
    arguments: [
      (JSONObject(), true), (["mode": "routed"], true), (["isDefaultGateway": false], true),
      (["macspoofchk": true, "portIsolation": true], true), (["ipam": ["type": "dhcp"]], true),
      (["capabilities": ["bandwidth": true], "runtimeConfig": ["mac": "02:00:00:00:00:01"]], true),
      // The bridge is no gateway, or the pod is in a VLAN, or it has no address, or its bandwidth is limited.
      (["isGateway": false], false), (["vlan": 100], false), (["vlanTrunk": [["id": 7]]], false),
      (["ipam": ["type": "none"]], false), (["disableContainerInterface": true], false),
      (["runtimeConfig": ["bandwidth": ["ingressRate": 1000, "ingressBurst": 1000]]], false),
      (["mode": "routed", "runtimeConfig": ["bandwidth": ["egressRate": 1000, "egressBurst": 1000]]], false),
    ] as [(JSONObject, Bool)])
  func fastPathNeedsAGatewayAndNoVLANOrLimit(_ keys: JSONObject, _ mayUseFastPath: Bool) throws {
    #expect(try configuration(keys).mayUseFastPath == mayUseFastPath)
  }

  /// A malformed `capabilities` value belongs to another plugin and is not an error here.
  @Test(
    arguments: [
      (JSONObject(), false), (["capabilities": ["bandwidth": true]], true),
      (["capabilities": ["bandwidth": true, "mac": true]], true), (["capabilities": ["bandwidth": false]], false),
      (["capabilities": ["portMappings": true]], false), (["capabilities": .null], false),
      (["capabilities": "bandwidth"], false), (["capabilities": ["bandwidth": "true"]], false),
      (["runtimeConfig": ["bandwidth": ["ingressRate": 1000, "ingressBurst": 1000]]], false),
    ] as [(JSONObject, Bool)])
  func bandwidthCapabilityAnnouncesLimits(_ keys: JSONObject, _ announcesLimits: Bool) throws {
    #expect(try configuration(keys).fastPath.announcesLimits == announcesLimits)
  }

  @Test func bandwidthCapabilityOfFlannelAnnouncesLimits() throws {
    let keys: JSONObject = [
      "type": "flannel", "delegate": ["isDefaultGateway": true], "capabilities": ["bandwidth": true],
    ]
    #expect(try configuration(keys, as: .flannel).fastPath.announcesLimits)
  }
}
