import CNI
import JSON
import Netlink
@testable import PodNetwork
import Testing

/// The keys `vlan`, `vlanTrunk` and `preserveDefaultVlan`, and the VLANs of a port that follow from them.
@Suite struct VLANsTests {
  private func vlans(_ keys: JSONObject) throws -> VLANs? { try configuration(keys).bridged.port.vlans }

  @Test(
    arguments: [
      ([], []), ([["minID": 10, "maxID": 13]], [10...13]), ([["id": 7]], [7...7]),
      ([["id": 7, "minID": 10, "maxID": 12]], [7...7, 10...12]), ([["minID": 1, "maxID": 4094]], [1...4094]),
      // Unordered, repeated and adjacent entries.
      ([["id": 9], ["id": 7], ["id": 7]], [7...7, 9...9]), ([["id": 8], ["minID": 5, "maxID": 7]], [5...8]),
      ([["minID": 5, "maxID": 9], ["minID": 7, "maxID": 12], ["id": 8]], [5...12]),
      ([["minID": 5, "maxID": 5]], [5...5]), ([["ID": 3, "MinID": .null]], [3...3]),
    ] as [(JSONValue, [ClosedRange<UInt16>])])
  func trunksAreReadAndMerged(_ trunk: JSONValue, _ ranges: [ClosedRange<UInt16>]) throws {
    let vlans = try #require(try vlans(["vlanTrunk": trunk]))
    #expect(vlans.trunk == ranges && vlans.id == nil && !vlans.keepsDefault)
  }

  @Test(
    arguments: [
      ([["minID": 10]], "minID and maxID should be configured simultaneously, maxID is missing", "vlanTrunk[0]"),
      ([["maxID": 10]], "minID and maxID should be configured simultaneously, minID is missing", "vlanTrunk[0]"),
      ([["minID": -1, "maxID": 10]], "incorrect trunk minID parameter", "vlanTrunk[0].minID"),
      ([["minID": 0, "maxID": 10]], "incorrect trunk minID parameter", "vlanTrunk[0].minID"),
      ([["minID": 4095, "maxID": 10]], "incorrect trunk minID parameter", "vlanTrunk[0].minID"),
      ([["minID": 10, "maxID": 4095]], "incorrect trunk maxID parameter", "vlanTrunk[0].maxID"),
      ([["minID": 10, "maxID": -1]], "incorrect trunk maxID parameter", "vlanTrunk[0].maxID"),
      ([["id": 7], ["id": 4095]], "incorrect trunk id parameter", "vlanTrunk[1].id"),
      ([["id": -1]], "incorrect trunk id parameter", "vlanTrunk[0].id"),
      ([["id": 0]], "incorrect trunk id parameter", "vlanTrunk[0].id"),
      ([["id": 70000]], "incorrect trunk id parameter", "vlanTrunk[0].id"),
      ([["minID": 20, "maxID": 10]], "minID is greater than maxID in trunk parameter", "minID 20 and maxID 10"),
      ([["id": 7], [:]], "vlanTrunk[1] names no VLAN", "give it id, or minID and maxID"),
    ] as [(JSONValue, String, String)])
  func invalidTrunksAreRefused(_ trunk: JSONValue, _ message: String, _ details: String) throws {
    let error = try #require(answer { _ = try configuration(["vlanTrunk": trunk]) })
    #expect(error.code == .invalidConfiguration && error.message == message)
    #expect(error.details.contains(details), "\(error)")
  }

  @Test(arguments: ["1.0.0", "0.4.0"]) func vlanIDIsFrom0To4094(_ version: String) throws {
    #expect(try configuration(["vlan": 0], version: version).bridged.port.vlans == nil)
    #expect(
      try configuration(["vlanTrunk": .null, "preserveDefaultVlan": true], version: version).bridged.port.vlans == nil)
    for id in [1, 100, 4094] as [UInt16] {
      let vlans = try #require(try configuration(["vlan": .integer(Int64(id))], version: version).bridged.port.vlans)
      #expect(vlans.id == id && vlans.trunk == [])
    }
    for id in [-100, -1, 4095, 5000, 65636] as [Int64] {
      let error = try #require(answer { _ = try configuration(["vlan": .integer(id)], version: version) })
      #expect(error.code == .invalidConfiguration && !error.details.isEmpty)
      #expect(error.message == "invalid VLAN ID \(id) (must be between 0 and 4094)")
    }
  }

  // MARK: VLANs of a port

  /// VLANs of a port as text, if the bridge put it into VLAN `defaultID` before.
  private func port(_ keys: JSONObject, defaultID: UInt16 = 1) throws -> [String] {
    let vlans = try #require(try vlans(keys))
    let kept = vlans.left(defaultID: defaultID) == nil && defaultID != 0
    let joined = vlans.joined(defaultID: defaultID)
    let isSet = joined.contains { $0.ids.contains(defaultID) }
    return (kept && !isSet ? ["\(defaultID) as before"] : [])
      + joined.map { vlan in
        (vlan.ids.count == 1 ? "\(vlan.ids.lowerBound)" : "\(vlan.ids.lowerBound)-\(vlan.ids.upperBound)")
          + (vlan.isNative ? " native" : "") + (vlan.isUntagged ? " untagged" : "")
      }
  }

  @Test(
    arguments: [
      (["vlan": 100], ["100 native untagged"]), (["vlan": 1], ["1 native untagged"]),
      (["vlan": 100, "preserveDefaultVlan": true], ["1 as before", "100 native untagged"]),
      (["vlanTrunk": []], ["1 as before"]), (["vlanTrunk": [["id": 7]]], ["1 native untagged", "7"]),
      (["vlanTrunk": [["id": 7]], "preserveDefaultVlan": true], ["1 as before", "7"]),
      // The untagged VLAN stays untagged.
      (["vlanTrunk": [["minID": 1, "maxID": 3]]], ["1 native untagged", "2-3"]),
      (["vlanTrunk": [["minID": 1, "maxID": 3]], "preserveDefaultVlan": true], ["1 as before", "2-3"]),
      (["vlan": 2, "vlanTrunk": [["minID": 1, "maxID": 3]]], ["1", "2 native untagged", "3"]),
      (["vlan": 9, "vlanTrunk": [["minID": 1, "maxID": 4094]]], ["1-8", "9 native untagged", "10-4094"]),
    ] as [(JSONObject, [String])])
  func portsAreInTheConfiguredVLANs(_ keys: JSONObject, _ expected: [String]) throws {
    #expect(try port(keys) == expected)
  }

  @Test func portsOfABridgeWithAnotherDefaultVLAN() throws {
    #expect(try port(["vlan": 5], defaultID: 5) == ["5 native untagged"])
    #expect(try port(["vlanTrunk": [["id": 7]]], defaultID: 5) == ["1 native untagged", "7"])
    #expect(
      try port(["vlanTrunk": [["minID": 4, "maxID": 6]], "preserveDefaultVlan": true], defaultID: 5) == [
        "5 as before", "4", "6",
      ])
    // The bridge has no default VLAN that the port must leave.
    #expect(try port(["vlan": 5], defaultID: 0) == ["5 native untagged"])
    #expect(try port(["vlanTrunk": [["id": 7]], "preserveDefaultVlan": true], defaultID: 0) == ["7"])
  }

  // MARK: The gateway's link

  @Test func gatewayLinkNameMustFit() throws {
    #expect(try vlans(["vlan": 100])?.gatewayLinkName(bridge: "cni0") == "cni0.100")
    #expect(try vlans(["vlanTrunk": []])?.gatewayLinkName(bridge: "cni0") == "cni0")
    _ = try configuration(["vlan": 4094, "bridge": "ten-bytes0"])
    let long: JSONObject = ["vlan": 4094, "bridge": "eleven-byte"]
    let error = try #require(answer { _ = try configuration(long) })
    #expect(error.code == .invalidConfiguration)
    #expect(error.message.contains("vlan 4094 on bridge \"eleven-byte\""), "\(error)")
    // A configuration without gateway needs no name.
    for keys in [["ipam": ["type": "none"]], ["isGateway": false]] as [JSONObject] {
      _ = try configuration(JSONObject(long.members + keys.members))
    }
  }

  @Test(
    arguments: [
      (["vlan": 7], "cni0.7"), (["vlan": 7, "bridge": "br0"], "br0.7"), ([:], "cni0"), (["vlan": 0], "cni0"),
      // Invalid values mean the default.
      (["vlan": 5000, "bridge": "br0"], "br0"), (["vlan": 4094, "bridge": "eleven-byte"], "eleven-byte"),
    ] as [(JSONObject, String)])
  func gatewayLinkOfDELIsReadLeniently(_ keys: JSONObject, _ name: String) throws {
    #expect(LenientConfiguration(try network(keys, for: .delete), as: .causeway).gatewayLink.name == name)
  }
}
