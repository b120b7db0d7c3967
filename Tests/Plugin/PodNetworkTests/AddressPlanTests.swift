import Addresses
import CNI
import IPAM
import JSON
@testable import PodNetwork
import Testing
import TestSupport

@Suite struct AddressPlanTests {
  @Test func subnetsOfTheLeaseAreTheRanges() throws {
    let plan = try AddressPlan(configuration(), lease("10.244.1.1/24", "fd00:10:0:1::1/64"))
    #expect(plan.isFromLease)
    #expect(plan.has(.v4) && plan.has(.v6))
    #expect(plan.mtuBytes == 1450)
    let range = try #require(plan.rangeSets.first?.ranges.first)
    #expect(range.subnet.description == "10.244.1.0/24")
    #expect(range.gateway.description == "10.244.1.1")
  }

  @Test func addressOfTheLeaseIsTheGateway() throws {
    let plan = try AddressPlan(configuration(), lease("10.244.1.254/24"))
    #expect(plan.rangeSets.first?.ranges.first?.gateway.description == "10.244.1.254")
  }

  @Test func configuredRangesOverrideTheLease() throws {
    let keys: JSONObject = ["ipam": ["subnet": "10.9.0.0/24"], "runtimeConfig": ["ips": ["10.9.0.7"]]]
    let plan = try AddressPlan(configuration(keys), lease("10.244.1.1/24"))
    #expect(!plan.isFromLease)
    #expect(texts(plan.rangeSets) == ["10.9.0.1-10.9.0.254"])
    #expect(texts(plan.requested) == ["10.9.0.7"])
    #expect(plan.mtuBytes == 1450)
    #expect(try AddressPlan(configuration(keys), nil).mtuBytes == nil)
  }

  @Test func configuredMTUOverridesTheLease() throws {
    #expect(try AddressPlan(configuration(["mtu": 9000]), lease("10.244.1.1/24")).mtuBytes == 9000)
  }

  @Test func missingRangesAndLeaseAreAnError() throws {
    let error = try #require(answer { _ = try AddressPlan(configuration(), nil) })
    #expect(error.code == .tryAgainLater)
    #expect(error.message.contains("/run/causeway/subnet.env or /run/flannel/subnet.env"))
    #expect(error.message.contains("causeway-hostgw run"))
    let handOff = answer {
      _ = try AddressPlan(configuration(["hostgw": ["nodes-file": "/n.json"], "subnetFile": "/s.env"]), nil)
    }
    #expect(handOff?.message.contains("/s.env") == true)
    #expect(handOff?.message.contains("causeway-hostgw sync --nodes-file /n.json") == true)
  }

  @Test func layerTwoNeedsNoLease() throws {
    let plan = try AddressPlan(configuration(["ipam": ["type": "none"], "runtimeConfig": ["ips": ["10.1.0.1"]]]), nil)
    #expect(plan.rangeSets == [] && plan.requested == [] && !plan.has(.v4) && !plan.isFromLease)
  }

  @Test(arguments: [("10.9.0.0/24", 1279, true), ("fd00:9::/64", 1279, false), ("fd00:9::/64", 1280, true)])
  func ipv6NeedsItsMinimumMTU(subnet: String, mtu: Int, isGood: Bool) throws {
    let configuration = try configuration(["mtu": .integer(Int64(mtu)), "ipam": ["subnet": .string(subnet)]])
    let error = answer { _ = try AddressPlan(configuration, nil) }
    #expect((error == nil) == isGood)
    #expect(isGood || error?.code == .invalidConfiguration && error?.message.contains("1279") == true)
  }

  @Test func leaseMTUTooSmallForIPv6IsAnError() throws {
    _ = try AddressPlan(configuration(), lease("10.244.1.1/24", mtu: 1000))
    let error = answer { _ = try AddressPlan(configuration(), lease("fd00:10:0:1::1/64", mtu: 1000)) }
    #expect(error?.code == .invalidConfiguration)
  }

  @Test func errorNamesALeaseTooSmallForPods() throws {
    let error = answer { _ = try AddressPlan(configuration(), lease("10.244.1.0/31")) }
    #expect(error?.code == .tryAgainLater)
    #expect(error?.message.contains("FLANNEL_SUBNET=10.244.1.0/31") == true, "\(String(describing: error))")
  }

  @Test func bridgeTypeDoesNotUseTheLease() throws {
    let configuration = try configuration(["ipam": ["type": "host-local"]], as: .bridge)
    let error = try #require(answer { _ = try AddressPlan(configuration, lease("10.244.1.1/24")) })
    #expect(error.code == .invalidConfiguration)
    #expect(error.message == "no IP ranges specified")
  }

  /// The plugin does not masquerade if the lease says that the node's rules do.
  @Test(
    arguments: [
      (nil, false, true), (nil, true, false), (true, true, true), (false, false, false), (nil, nil, false),
      (true, nil, true),
    ] as [(Bool?, Bool?, Bool)])
  func masqueradingDependsOnConfigurationAndLease(asked: Bool?, byLease: Bool?, expected: Bool) throws {
    let given = try byLease.map { masquerades in try lease("10.244.1.1/24", masquerades: masquerades) }
    var keys: JSONObject = ["ipam": ["subnet": "10.9.0.0/24"]]
    if let asked { keys["ipMasq"] = .bool(asked) }
    let plan = try AddressPlan(configuration(keys), given)
    #expect(plan.masquerades == expected)
    #expect(texts(plan.clusterNetworks) == (byLease == nil ? [] : ["10.244.0.0/16"]))
  }
}
