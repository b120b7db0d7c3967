import Addresses
import Glibc
import JSON
import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot) struct RouteTests {
  private static let ours: UInt8 = 202
  private let node: TestNode
  private let index: Int32

  init() throws {
    node = try TestNode()
    index = try node.addUplink(addresses: "192.0.2.1/24", "2001:db8::1/64")
  }

  private func seen(_ destination: IPPrefix, table: String = "main") throws -> JSONObject? {
    let family = destination.family == .v4 ? "-4" : "-6"
    return try node.ip(json: family, "route", "show", "table", table, "exact", destination.description).first
  }

  private func route(_ destination: String, _ gateway: String) throws -> Route {
    try Route(prefix(destination), via: address(gateway), linkIndex: index, owner: RouteTests.ours)
  }

  @Test(arguments: [
    ("10.244.2.0/24", "192.0.2.2", "192.0.2.3"), ("fd00:2::/64", "2001:db8::2", "2001:db8::3"),
    ("0.0.0.0/0", "192.0.2.2", "192.0.2.3"), ("::/0", "2001:db8::2", "2001:db8::3"),
    ("10.244.2.7/32", "192.0.2.2", "192.0.2.3"), ("fd00:2::7/128", "2001:db8::2", "2001:db8::3"),
    // Across the families (RFC 8950).
    ("10.244.3.0/24", "2001:db8::2", "192.0.2.2"),
  ])
  func addsReplacesAndRemoves(_ destination: String, _ gateway: String, other: String) throws {
    var socket = try node.routeSocket()
    var route = try route(destination, gateway)
    try socket.perform(.addRoute(route))
    let inKernel = try #require(try seen(route.destination))
    #expect((inKernel["gateway"] ?? inKernel["via"]?.object?["host"])?.string == gateway)
    #expect(inKernel["dev"] == "eth0")
    #expect(inKernel["protocol"] == "202")
    #expect(refusal { try socket.perform(.addRoute(route)) }?.errno == EEXIST)

    route.gateway = try address(other)
    try socket.perform(.replaceRoute(route))
    let read = try socket.routes(owner: RouteTests.ours)
    #expect(read.count == 1)
    #expect(read.first?.destination == route.destination)
    #expect(read.first?.gateway == route.gateway)
    #expect(read.first?.linkIndex == index)
    #expect(read.first?.owner == RouteTests.ours)
    #expect(read.first?.table == Route.mainTable)

    try socket.perform(.removeRoute(read[0]))
    #expect(try socket.routes(owner: RouteTests.ours).isEmpty)
    let error = refusal { try socket.perform(.removeRoute(route)) }
    #expect(error?.errno == ESRCH)
    #expect(error?.text.hasPrefix("remove the route \(destination): ") == true)
  }

  /// A foreign route makes adding ours fail, and removing ours does not affect it.
  @Test(arguments: [("10.244.2.0/24", "192.0.2.2"), ("fd00:2::/64", "2001:db8::2")])
  func foreignRoutesAreKept(_ destination: String, _ gateway: String) throws {
    try node.sh("ip route add \(destination) via \(gateway) proto static")
    var socket = try node.routeSocket()
    let route = try route(destination, gateway)
    #expect(refusal { try socket.perform(.addRoute(route)) }?.errno == EEXIST)
    #expect(refusal { try socket.perform(.removeRoute(route)) }?.errno == ESRCH)
    #expect(try seen(route.destination)?["protocol"] == "static")
    #expect(try socket.routes(owner: RouteTests.ours).isEmpty)
  }

  @Test func carriesMetricsTableTypeAndPriority() throws {
    var socket = try node.routeSocket()
    for destination in ["10.244.2.0/24", "fd00:2::/64"] {
      let destination = try prefix(destination)
      let gateway = try address(destination.family == .v4 ? "192.0.2.2" : "2001:db8::2")
      // A table above 255, and a priority above the largest signed number.
      try socket.perform(
        .addRoute(
          Route(
            destination, via: gateway, linkIndex: index, owner: 203, table: 100_000, priority: 4_294_967_295,
            mtuBytes: 1400, advertisedMSSBytes: 1340)))
      let inKernel = try #require(try seen(destination, table: "100000"))
      #expect(inKernel["metric"] == 4_294_967_295)
      #expect(inKernel["metrics"]?.array?.first == ["mtu": 1400, "advmss": 1340])
      let read = try #require(try socket.routes(table: 100_000, families: [destination.family]).first)
      #expect(read.mtuBytes == 1400 && read.advertisedMSSBytes == 1340)
      #expect(read.table == 100_000 && read.priority == 4_294_967_295 && read.owner == 203)
      #expect(read.destination == destination && read.gateway == gateway)
    }
    #expect(try socket.routes(owner: 203, table: Route.mainTable).isEmpty)
  }

  @Test(arguments: ["10.244.2.7/32", "fd00:2::7/128"]) func onLinkRoutesNeedNoGateway(_ text: String) throws {
    var socket = try node.routeSocket()
    try socket.perform(.addRoute(Route(prefix(text), linkIndex: index, owner: 203)))
    let inKernel = try #require(try seen(prefix(text)))
    #expect(inKernel["gateway"] == nil && inKernel["dev"] == "eth0")
    let read = try #require(try socket.routes(owner: 203).first)
    #expect(read.gateway == nil && read.linkIndex == index)
    try socket.perform(.removeRoute(read))
  }

  @Test(arguments: ["10.244.1.0/24", "fd00:1::/64"]) func blackholeRoutesDropPackets(_ text: String) throws {
    var socket = try node.routeSocket()
    let route = try Route(prefix(text), owner: RouteTests.ours, priority: 4_294_967_295, type: 6)
    try socket.perform(.addRoute(route))
    #expect(try seen(route.destination)?["type"] == "blackhole")
    let read = try #require(try socket.routes(owner: RouteTests.ours).first)
    #expect(read.type == 6 && read.destination == route.destination)
    try socket.perform(.removeRoute(read))
    #expect(try seen(route.destination) == nil)
  }

  @Test func errorsHaveTheKernelsText() throws {
    var socket = try node.routeSocket()
    let error = refusal { try socket.perform(.addRoute(route("10.244.2.0/24", "198.51.100.1"))) }
    #expect(error?.errno == ENETUNREACH)
    #expect(
      error?.text == "add the route 10.244.2.0/24: Network is unreachable (Nexthop has invalid gateway)")
    #expect(refusal { try socket.perform(.addRoute(route("10.244.2.1/24", "192.0.2.2"))) }?.errno == EINVAL)
  }

  @Test func listsByOwnerTableAndFamily() throws {
    try node.sh(
      """
      ip route add 10.1.0.0/24 via 192.0.2.2 proto 202
      ip route add 10.2.0.0/24 via 192.0.2.2 proto 203
      ip route add fd01::/64 via 2001:db8::2 proto 202
      ip route add 10.3.0.0/24 via 192.0.2.2 proto 202 table 77
      """)
    var socket = try node.routeSocket()
    func texts(_ routes: [Route]) -> Set<String> { Set(routes.map(\.destination.description)) }
    #expect(try texts(socket.routes(owner: 202)) == ["10.1.0.0/24", "fd01::/64", "10.3.0.0/24"])
    #expect(try texts(socket.routes(owner: 202, table: Route.mainTable)) == ["10.1.0.0/24", "fd01::/64"])
    #expect(try texts(socket.routes(owner: 202, families: [.v6])) == ["fd01::/64"])
    #expect(try texts(socket.routes(owner: 203)) == ["10.2.0.0/24"])
    #expect(try texts(socket.routes(table: 77)) == ["10.3.0.0/24"])
    #expect(try texts(socket.routes(owner: 199)).isEmpty)
    #expect(try texts(socket.routes(table: 78)).isEmpty)
    #expect(try texts(socket.routes()).isSuperset(of: ["127.0.0.0/8", "192.0.2.0/24", "10.2.0.0/24"]))
  }

  /// A foreign multipath route has neither gateway nor link of its own, and must not stop the list.
  @Test func foreignMultipathRoutesAreRead() throws {
    try node.sh("ip route add 10.1.0.0/24 nexthop via 192.0.2.2 dev eth0 nexthop via 192.0.2.3 dev eth0")
    var socket = try node.routeSocket()
    let route = try #require(try socket.routes().first { $0.destination.description == "10.1.0.0/24" })
    #expect(route.gateway == nil && route.linkIndex == nil)
  }
}
