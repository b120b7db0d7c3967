import Testing
import TestSupport

/// A node with routes and rules that flannel has left.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct FlannelTakeOverTests {
  private static let ours = ["10.244.2.0/24 via 192.0.2.12", "fd00:10:244:2::/64 via 2001:db8::12"]

  private let cluster: Cluster
  private var node: TestNode { cluster.nodes[0] }

  init() throws {
    cluster = try Cluster(2)
    // The route to node-b, one to an unused subnet, the node's own blackhole, and routes that are not flannel's.
    try cluster.nodes[0].sh(
      """
      ip route add 10.244.2.0/24 via 192.0.2.12 dev eth0
      ip -6 route add fd00:10:244:2::/64 via 2001:db8::12 dev eth0
      ip route add 10.244.8.0/24 via 192.0.2.12 dev eth0
      ip route add blackhole 10.244.1.0/24 metric 4294967295
      ip route add 10.244.9.0/24 via 192.0.2.77 dev eth0
      ip route add 10.99.0.0/24 via 192.0.2.12 dev eth0
      ip route add 10.244.10.0/24 via 192.0.2.12 dev eth0 proto static
      iptables -t nat -N FLANNEL-POSTRTG && iptables -t nat -A POSTROUTING -j FLANNEL-POSTRTG
      """)
  }

  @Test func withoutTheOptionFlannelsStateIsOnlyReported() throws {
    let before = try node.sh("ip route; ip -6 route; nft list table ip nat")
    let sync = try node.hostgw("sync", "--forward-rules=false", "--blackhole-route=false")
    #expect(sync.status == 1)
    #expect(sync.output.contains("to 10.244.2.0/24") && sync.output.contains("--take-over-flannel"), "\(sync)")
    #expect(sync.output.contains("10.244.8.0/24 via 192.0.2.12") == false)
    #expect(sync.output.contains("2 routes, such as 10.244.1.0/24"), "\(sync)")
    #expect(sync.output.contains("FLANNEL-POSTRTG"), "\(sync)")
    #expect(try node.sh("ip route; ip -6 route; nft list table ip nat") == before)
    #expect(try node.hostgw("status").output.contains("FLANNEL-POSTRTG"))
  }

  @Test func routesAreTakenOverWithoutAGap() throws {
    let monitor = try RouteMonitor(node, "route")
    try node.hostgw("sync", "--take-over-flannel", "--ip-masq").succeeded()
    #expect(try node.podRoutes() == Self.ours)
    #expect(try node.blackholes() == ["10.244.1.0/24", "fd00:10:244:1::/64"])
    let changes = try monitor.changes()
    func isDeleted(_ route: String) -> Bool { changes.contains { $0.hasPrefix("Deleted \(route)") } }
    #expect(isDeleted("10.244.8.0/24"), "\(changes)")
    for route in ["10.244.2.0", "fd00:10:244:2", "blackhole"] { #expect(!isDeleted(route), "\(changes)") }
    let routes = try node.sh("ip route; ip -6 route")
    for stays in ["10.244.9.0/24 via 192.0.2.77", "10.99.0.0/24 via 192.0.2.12", "10.244.10.0/24 via 192.0.2.12"] {
      #expect(routes.contains(stays), "\(routes)")
    }
    #expect(try node.lines("ip route show 10.244.2.0/24; ip -6 route show fd00:10:244:2::/64").count == 2)
    #expect(try !node.sh("nft list table ip nat").contains("FLANNEL"))
    #expect(try node.hostgw("sync", "--take-over-flannel", "--ip-masq").succeeded().output.contains("flannel") == false)
  }
}
