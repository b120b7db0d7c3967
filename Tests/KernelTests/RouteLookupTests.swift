import Addresses
import Netlink
import OwnNode
import Testing
import TestSupport

/// Queries that the choice of an interface needs.
@Suite(.requiresRoot) struct RouteLookupTests {
  private let node: TestNode
  private let first: Int32
  private let second: Int32

  init() throws {
    node = try TestNode()
    first = try node.addUplink("eth0", addresses: "192.0.2.1/24", "2001:db8::1/64")
    second = try node.addUplink("eth1", addresses: "198.51.100.1/24", "2001:db8:1::1/64")
  }

  @Test func defaultRoutesHaveLinksAndMetrics() throws {
    try node.sh(
      """
      ip route add default metric 50 nexthop via 198.51.100.2 nexthop via 192.0.2.2
      ip route add default via 192.0.2.2 metric 100
      ip route add default via 192.0.2.2 table 77
      ip route add unreachable default metric 7
      ip route add 10.0.0.0/8 via 192.0.2.2
      ip -6 route add default metric 20 nexthop via 2001:db8::2 nexthop via 2001:db8:1::2
      ip nexthop add id 5 via 2001:db8:1::2 dev eth1
      ip -6 route add default nhid 5 metric 30
      """)
    var socket = try node.routeSocket()
    let routes = try socket.defaultRoutes()
    let v4 = routes.filter { $0.family == .v4 }.sorted { $0.priority < $1.priority }
    #expect(v4.map(\.priority) == [50, 100])
    #expect(v4.map { Set($0.linkIndexes) } == [[first, second], [first]])
    let v6 = routes.filter { $0.family == .v6 }
    #expect(Set(v6.filter { $0.priority == 20 }.flatMap(\.linkIndexes)) == [first, second])
    #expect(v6.filter { $0.priority == 30 }.map(\.linkIndexes) == [[second]])
  }

  @Test func theLinkOfARouteIsFound() throws {
    try node.sh(
      """
      ip route add 203.0.113.0/24 via 198.51.100.2
      ip -6 route add 2001:db8:9::/64 via 2001:db8:1::2
      ip route add unreachable 203.0.114.0/24
      ip route add prohibit 203.0.115.0/24
      ip route add blackhole 203.0.116.0/24
      ip -6 route add unreachable 2001:db8:a::/64
      """)
    var socket = try node.routeSocket()
    for (text, link) in [
      ("203.0.113.7", second), ("192.0.2.77", first), ("2001:db8:9::7", second), ("2001:db8::77", first),
    ] { #expect(try socket.linkIndex(toReach: address(text)) == link, "\(text)") }
    for text in ["203.0.114.7", "203.0.115.7", "203.0.116.7", "8.8.8.8", "2001:db8:a::7", "2001:4860::1"] {
      #expect(try socket.linkIndex(toReach: address(text)) == nil, "\(text)")
    }
  }

  @Test func aDestinationIsLookedUpWithoutAList() throws {
    try node.sh(
      """
      ip route add default via 192.0.2.2
      ip -6 route add default via 2001:db8::2
      ip route add 10.244.2.0/24 via 192.0.2.2 proto static metric 7
      ip -6 route add fd00:2::/64 via 2001:db8::2 proto static
      ip route add 10.244.3.0/25 via 192.0.2.2
      ip route add blackhole 10.244.4.0/24
      ip route add unreachable 10.244.5.0/24
      ip -6 route add unreachable fd00:5::/64
      ip route add 10.244.6.0/24 via 192.0.2.2 table 77
      ip rule add to 10.244.6.0/24 lookup 77
      """)
    var socket = try node.routeSocket()
    for (text, owner, metric) in [("10.244.2.0/24", 4, 7), ("fd00:2::/64", 4, 1024)] as [(String, UInt8, UInt32)] {
      let destination = try prefix(text)
      guard case .present(let route) = try socket.lookUp(destination) else {
        Issue.record("\(text) is not found")
        continue
      }
      #expect(route.owner == owner && route.priority == metric && route.destination == destination)
    }
    for text in ["10.244.9.0/24", "fd00:9::/64", "10.244.2.0/25"] {
      #expect(try socket.lookUp(prefix(text)) == .absent, "\(text)")
    }
    for text in ["10.244.3.0/24", "10.244.4.0/24", "10.244.5.0/24", "10.244.6.0/24"] {
      #expect(try socket.lookUp(prefix(text)) == .hidden, "\(text)")
    }
    let unreachable = try socket.lookUp(prefix("fd00:5::/64"))
    #expect(unreachable != .absent, "\(unreachable)")
    // Without a default route the kernel reports ENETUNREACH.
    let other = try TestNode()
    try other.addUplink(addresses: "192.0.2.1/24", "2001:db8::1/64")
    var empty = try other.routeSocket()
    for text in ["10.244.9.0/24", "fd00:9::/64"] { #expect(try empty.lookUp(prefix(text)) == .absent, "\(text)") }
  }

  /// As in the agent: links, addresses, and default routes only if nothing else decides on the link.
  @Test func theInterfaceIsChosenFromTheKernelsState() throws {
    try node.sh("ip route add default via 198.51.100.2; ip route add 203.0.113.0/24 via 192.0.2.2")
    var socket = try node.routeSocket()
    func choose(_ selection: InterfaceSelection, present: [IPAddress] = []) throws -> [String] {
      let choice = try InterfaceChoice.read(
        [.v4, .v6], selection, clusterNetworks: [prefix("10.244.0.0/16")], present: present, &socket)
      return choice.interfaces.map { "\($0.address) \($0.link.name)" }
    }
    #expect(try choose(InterfaceSelection()) == ["198.51.100.1 eth1", "2001:db8:1::1 eth1"])
    #expect(
      try choose(InterfaceSelection(), present: [address("192.0.2.1")]) == ["192.0.2.1 eth0", "2001:db8::1 eth0"])
    #expect(
      try choose(InterfaceSelection(reachable: [address("203.0.113.1")])) == ["192.0.2.1 eth0", "2001:db8::1 eth0"])
  }

  /// Addresses as a network manager and a router assign them: temporary and deprecated ones are never chosen,
  /// permanent ones are.
  @Test func temporaryAndDeprecatedAddressesAreNotChosen() throws {
    let node = try TestNode()
    func choice(present: String...) throws -> String? {
      var socket = try node.routeSocket()
      let choice = try InterfaceChoice.read(
        [.v6], InterfaceSelection(names: ["eth0"]), clusterNetworks: [], present: present.map { try address($0) },
        &socket)
      return choice.interface(.v6)?.address.description
    }
    try node.sh(
      """
      ip link add eth0 type veth peer name far && ip link set far up
      echo 2 >/proc/sys/net/ipv6/conf/eth0/use_tempaddr
      ip link set eth0 up
      ip address add 2001:db8::99/64 dev eth0 mngtmpaddr valid_lft 86400 preferred_lft 80000 nodad
      """)
    #expect(try eventually { try node.sh("ip -6 address show dev eth0 temporary").contains("2001:db8:") })
    #expect(try choice() == "2001:db8::99")
    try node.sh("ip address add 2001:db8::5/64 dev eth0 preferred_lft 0 nodad")
    #expect(try choice() == "2001:db8::99")
    try node.sh("ip address add 2001:db8::aaaa/64 dev eth0 nodad")
    #expect(try choice() == "2001:db8::aaaa")
    #expect(try choice(present: "2001:db8::99") == "2001:db8::aaaa")
    try node.sh("ip address add 2001:db8::7/64 dev eth0 nodad")
    #expect(try choice(present: "2001:db8::aaaa") == "2001:db8::aaaa")
  }
}
