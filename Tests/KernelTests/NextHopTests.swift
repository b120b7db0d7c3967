import Addresses
import Glibc
import JSON
import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot) struct NextHopTests {
  private static let ours: UInt8 = 202
  private let node: TestNode
  private let index: Int32

  init() throws {
    node = try TestNode()
    index = try node.addUplink(addresses: "192.0.2.1/24", "2001:db8::1/64")
  }

  private func hop(_ id: UInt32, _ gateway: String) throws -> NextHop {
    try NextHop(id: id, gateway: address(gateway), linkIndex: index, owner: NextHopTests.ours)
  }

  @Test(arguments: [("192.0.2.2", "192.0.2.3"), ("2001:db8::2", "2001:db8::3")])
  func addsReplacesAndRemoves(_ gateway: String, _ other: String) throws {
    var socket = try node.routeSocket()
    try socket.perform(.addNextHop(hop(7, gateway)))
    let seen = try #require(try node.ip(json: "nexthop", "show", "id", "7").first)
    #expect(seen["gateway"]?.string == gateway)
    #expect(seen["dev"] == "eth0")
    #expect(seen["protocol"] == "202")
    #expect(refusal { try socket.perform(.addNextHop(hop(7, gateway))) }?.errno == EEXIST)

    try socket.perform(.replaceNextHop(hop(7, other)))
    let table = try #require(try socket.nextHops(owner: NextHopTests.ours))
    #expect(try table.owned == [hop(7, other)])

    try socket.perform(.removeNextHop(hop(7, other)))
    #expect(try node.ip(json: "nexthop", "show").isEmpty)
    #expect(refusal { try socket.perform(.removeNextHop(hop(7, other))) }?.errno == ENOENT)
  }

  @Test func routesFollowTheirNextHop() throws {
    var socket = try node.routeSocket()
    try socket.perform(.addNextHop(hop(7, "192.0.2.2")))
    try socket.perform(.addNextHop(hop(8, "2001:db8::2")))
    for (destination, id) in [("10.244.2.0/24", UInt32(7)), ("10.244.3.0/24", 7), ("fd00:2::/64", 8)] {
      try socket.perform(.addRoute(Route(prefix(destination), nextHopID: id, owner: NextHopTests.ours)))
    }
    #expect(try Set(socket.routes(owner: NextHopTests.ours).map(\.nextHopID)) == [7, 8])

    try socket.perform(.replaceNextHop(hop(7, "192.0.2.3")))
    let seen = try node.ip(json: "route", "show", "10.244.2.0/24")
    #expect(seen.first?["gateway"] == "192.0.2.3")
    #expect(seen.first?["nhid"] == 7)

    try socket.perform(.removeNextHop(hop(7, "192.0.2.3")))
    #expect(try socket.routes(owner: NextHopTests.ours).map(\.destination.description) == ["fd00:2::/64"])
  }

  @Test func aRouteMovesFromGatewayToNextHopInPlace() throws {
    var socket = try node.routeSocket()
    let destination = try prefix("10.244.2.0/24")
    try socket.perform(
      .addRoute(Route(destination, via: address("192.0.2.2"), linkIndex: index, owner: NextHopTests.ours)))
    try socket.perform(.addNextHop(hop(7, "192.0.2.3")))
    try socket.perform(.replaceRoute(Route(destination, nextHopID: 7, owner: NextHopTests.ours)))
    #expect(try socket.routes(owner: NextHopTests.ours).map(\.nextHopID) == [7])
  }

  @Test func idsOfOtherProtocolsAreTaken() throws {
    try node.sh(
      """
      ip nexthop add id 1 via 192.0.2.9 dev eth0
      ip nexthop add id 2 blackhole
      ip nexthop add id 3 group 1
      ip nexthop add id 4 via 192.0.2.2 dev eth0 proto 202
      """)
    var socket = try node.routeSocket()
    let table = try #require(try socket.nextHops(owner: NextHopTests.ours))
    #expect(table.takenIDs == [1, 2, 3, 4])
    #expect(try table.owned == [hop(4, "192.0.2.2")])
  }

  @Test func anUnreachableGatewayIsRefusedWithTheKernelsText() throws {
    var socket = try node.routeSocket()
    let error = refusal { try socket.perform(.addNextHop(hop(7, "198.51.100.1"))) }
    #expect(error.map { [EINVAL, EHOSTUNREACH, ENETUNREACH].contains($0.errno) } == true)
    #expect(error?.text.hasPrefix("add the next hop 198.51.100.1: ") == true)
    #expect(error?.text.hasSuffix("(Nexthop has invalid gateway)") == true)
  }
}
