import Addresses
import Backends
import JSON
import Nodes
import NodeState
import Testing
import TestSupport

@Suite struct LeaseMutationTests {
  private static let files = [
    """
    FLANNEL_NETWORK=10.244.0.0/16
    FLANNEL_SUBNET=10.244.1.1/24
    FLANNEL_IPV6_NETWORK=fd00:10:244::/48,fd01::/48
    FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64
    FLANNEL_MTU=1450
    FLANNEL_IPMASQ=true
    """
  ]

  @Test(arguments: 0..<2 as Range<UInt64>) func mutatedSubnetFileIsRefusedOrReadBackUnchanged(seed: UInt64) throws {
    var mutations = Mutations(of: LeaseMutationTests.files, seed: seed)
    var understood = 0
    for _ in 0..<3000 {
      let text = String(decoding: mutations.next(), as: UTF8.self)
      guard let lease = try? SubnetLease(parsing: text, file: "f") else { continue }
      understood += 1
      #expect(!lease.networks.isEmpty && (1...2).contains(lease.subnets.count), "\(text)")
      #expect((68...65535).contains(lease.mtuBytes))
      for subnet in lease.subnets { #expect(subnet.address != subnet.first) }
      // The file has no keys for a family without subnet.
      guard lease.networks.allSatisfy({ lease.subnet($0.family) != nil }),
        lease.subnets.allSatisfy({ subnet in lease.networks.contains { $0.family == subnet.family } })
      else { continue }
      let again = try SubnetLease(parsing: lease.text, file: "f")
      #expect(
        again.subnets == lease.subnets && again.mtuBytes == lease.mtuBytes && again.masquerades == lease.masquerades)
      #expect(Set(again.networks) == Set(lease.networks))
    }
    #expect(understood > 50)
  }

  private static let networks = [
    #"{"Network":"10.244.0.0/16","SubnetLen":24,"SubnetMin":"10.244.1.0","SubnetMax":"10.244.99.0","Backend":{"Type":"host-gw"}}"#,
    #"{"EnableIPv4":true,"Network":"10.0.0.0/8","EnableIPv6":true,"IPv6Network":"fd00:10:244::/48","IPv6SubnetLen":64}"#,
    #"{"enableipv6":true,"EnableIPv4":false,"IPv6Network":"fd00::/48","IPv6SubnetMin":"fd00:0:0:1::"}"#,
  ]

  /// For every accepted configuration, the subnets that nodes may claim are inside the network and can be counted.
  @Test(arguments: 0..<2 as Range<UInt64>) func mutatedNetworkIsRefusedOrContainsItsSubnets(seed: UInt64) {
    var mutations = Mutations(of: LeaseMutationTests.networks, seed: seed)
    var understood = 0
    for _ in 0..<3000 {
      let text = mutations.next()
      guard let fields = try? JSONFields(document: JSONValue(parsing: text), name: "it"),
        let conf = try? NetConf(fields, BackendList.reader)
      else { continue }
      #expect(!conf.networks.isEmpty && conf.networks.allSatisfy(\.isNetwork))
      guard let allocation = try? SubnetAllocation(fields, conf) else { continue }
      understood += 1
      for network in conf.networks {
        guard let range = allocation.range(network.family) else { continue }
        #expect(
          network.contains(range.first) && network.contains(range.last), "\(String(decoding: text, as: UTF8.self))")
        #expect(range.count >= 1 && range.subnet(0) == range.first && range.subnet(range.count) == nil)
        #expect(range.position(range.first) == 0 && range.position(range.last) != nil)
        #expect(range.positions(overlapping: network) != nil)
      }
    }
    #expect(understood > 50)
  }
}
