import Addresses
import Netlink
import NodeRoutes
internal import Nodes
internal import OwnNode
import Testing

/// Which peer addresses are on-link, as the route plan reports it.
@Suite struct AdjacencyTests {
  /// The planned route to node `b` if `b` has this address.
  private func peerRoute(_ text: String, _ change: (inout Scenario) -> Void = { _ in }) throws -> PeerRoute {
    var scenario = Scenario(nodes: 2)
    scenario.snapshot.nodes[1].addresses.v4 = address(text)
    change(&scenario)
    return try #require(try scenario.plan().peers.first)
  }

  @Test func addressInALinksNetworkIsOnLink() throws {
    #expect(try peerRoute("192.0.2.200").link == "eth0")
  }

  @Test func addressInNoNetworkIsOffLinkAndTheReasonListsOurNetworks() throws {
    let peer = try peerRoute("198.51.100.7")
    #expect(peer.stateName == "off-link")
    #expect(peer.link == nil)
    let reason = try #require(peer.reason)
    #expect(
      reason.contains("198.51.100.7") && reason.contains("192.0.2.1/24 on eth0")
        && reason.contains("same layer-2 network"))
  }

  @Test func reasonNamesALinkThatIsDown() throws {
    let peer = try peerRoute("192.0.2.7") { $0.state.links[1] = Scenario.link(2, "eth0", flags: 0x2) }
    #expect(peer.reason == "eth0, the link to 192.0.2.0/24, is down")
  }

  /// Only next-hop objects need a carrier: the kernel keeps routes with a gateway on a link without carrier.
  @Test func reasonNamesALinkWithoutCarrierAndAnotherLinkIsUsed() throws {
    let pulled = Scenario.link(2, "eth0", flags: 0x3)
    let peer = try peerRoute("192.0.2.7") { $0.state.links[1] = pulled }
    #expect(peer.reason == "eth0, the link to 192.0.2.0/24, has no carrier")
    let inline = try peerRoute("192.0.2.7") {
      $0.state.links[1] = pulled
      $0.state.nextHops = nil
    }
    #expect(inline.link == "eth0")
    let second = try peerRoute("192.0.2.7") {
      $0.state.links[1] = pulled
      $0.state.links.append(Scenario.link(3, "eth1"))
      $0.state.addresses.append(LinkAddress(prefix("192.0.2.50/24"), linkIndex: 3))
    }
    #expect(second.link == "eth1")
  }

  /// IFF_POINTOPOINT, IFF_NOARP, and no IFF_BROADCAST.
  @Test(arguments: [0x1 | 0x10, 0x1 | 0x2 | 0x80, 0x1] as [UInt32])
  func linkWithoutNeighbourResolutionIsNotUsed(flags: UInt32) throws {
    let peer = try peerRoute("192.0.2.7") { $0.state.links[1] = Scenario.link(2, "eth0", flags: flags | 0x10000) }
    #expect(peer.reason == "eth0, the link to 192.0.2.0/24, resolves no neighbours")
  }

  @Test func ownAddressIsRefusedAsGateway() throws {
    let peer = try peerRoute("192.0.2.50") {
      $0.state.addresses.append(LinkAddress(prefix("192.0.2.50/24"), linkIndex: 2))
    }
    #expect(peer.reason == "192.0.2.50 is this node's own address")
  }

  @Test func addressInsideTheClusterNetworkIsRefusedAsGateway() throws {
    let peer = try peerRoute("10.244.1.9") {
      $0.state.links.append(Scenario.link(3, "cni0"))
      $0.state.addresses.append(LinkAddress(prefix("10.244.1.1/24"), linkIndex: 3))
    }
    #expect(peer.reason == "10.244.1.9 lies inside the cluster's own network 10.244.0.0/16")
  }

  @Test func tentativeAddressDoesNotMakePeersOnLink() throws {
    var scenario = Scenario(nodes: 2, dual: true)
    // IFA_F_TENTATIVE
    scenario.state.addresses[2] = LinkAddress(prefix("fd00:2::1/64"), linkIndex: 2, flags: 0x40)
    #expect(try scenario.plan().peers.map(\.stateName) == ["missing", "off-link"])
  }

  @Test func linkOfOurPublicAddressIsPreferred() throws {
    let peer = try peerRoute("192.0.2.7") {
      $0.state.links.append(Scenario.link(3, "eth1"))
      $0.state.addresses.append(LinkAddress(prefix("192.0.2.3/28"), linkIndex: 3))
    }
    #expect(peer.link == "eth0")
  }

  @Test func longestPrefixIsPreferredAmongOtherLinks() throws {
    let peer = try peerRoute("203.0.113.7") {
      $0.state.links += [Scenario.link(3, "wide"), Scenario.link(4, "narrow")]
      $0.state.addresses += [
        LinkAddress(prefix("203.0.113.1/24"), linkIndex: 3), LinkAddress(prefix("203.0.113.2/28"), linkIndex: 4),
      ]
    }
    #expect(peer.link == "narrow")
  }

  @Test func routeWithoutGatewayCountsAsOnLinkNetwork() throws {
    let change: (inout Scenario) -> Void = {
      $0.state.addresses[1] = LinkAddress(prefix("192.0.2.1/32"), linkIndex: 2)
      $0.state.onLinkNetworks = [(prefix("192.0.2.0/25"), 2)]
    }
    #expect(try peerRoute("192.0.2.7", change).link == "eth0")
    let reason = try #require(try peerRoute("192.0.2.200", change).reason)
    #expect(reason.contains("192.0.2.1/32 on eth0, 192.0.2.0/25 on eth0"), "\(reason)")
  }

  @Test func shorterPrefixIsUsedIfTheLinkOfTheLongestIsDown() throws {
    let peer = try peerRoute("203.0.113.7") {
      $0.state.links += [Scenario.link(3, "wide"), Scenario.link(4, "narrow", flags: 0x2)]
      $0.state.addresses += [
        LinkAddress(prefix("203.0.113.1/24"), linkIndex: 3), LinkAddress(prefix("203.0.113.2/28"), linkIndex: 4),
      ]
    }
    #expect(peer.link == "wide")
  }
}
