import Addresses
internal import Backends
import JSON
import Linux
import Netlink
import NodeRoutes
import Nodes
import OwnNode
import Testing
import TestSupport

/// A plan of routes carried out by the kernel, with next-hop objects and as kernels before 5.3 have it.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct RoutePlanTests {
  private func snapshot(_ gateways: [(name: String, ip: String, subnet: String)]) throws -> NodeSnapshot {
    NodeSnapshot(
      netConf: NetConf(networks: [try #require(IPPrefix("10.244.0.0/16"))], backend: HostGateway()),
      nodes: gateways.map { node in
        Node(
          name: node.name, addresses: PerFamily(v4: IPAddress(node.ip)), subnets: PerFamily(v4: IPPrefix(node.subnet)))
      })
  }

  /// One pass, on a kernel that is said to have next-hop objects or not.
  private func pass(_ node: TestNode, _ snapshot: NodeSnapshot, hasNextHops: Bool) throws {
    var socket = try node.routeSocket()
    var state = try NetworkState.read(&socket)
    if !hasNextHops { state.nextHops = nil }
    let own = try LocalNode(snapshot, NodeSelection(hostName: "a"), state: state)
    let outcome = try socket.apply(RoutePlan(snapshot, own: own, state: state))
    #expect(outcome.peers.allSatisfy { $0.state == .installed }, "\(outcome.peers)")
  }

  @Test(arguments: [true, false])
  func aPeerThatComesMovesAndLeaves(_ hasNextHops: Bool) throws {
    let node = try TestNode()
    try node.sh(
      "ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up && ip address add 192.0.2.1/24 dev eth0"
    )
    let own = (name: "a", ip: "192.0.2.1", subnet: "10.244.1.0/24")
    for (gateway, expected) in [("192.0.2.2", ["192.0.2.2"]), ("192.0.2.9", ["192.0.2.9"])] {
      try pass(node, snapshot([own, ("b", gateway, "10.244.2.0/24")]), hasNextHops: hasNextHops)
      let routes = try node.ip(json: "route", "show", "proto", "202")
      #expect(routes.map { $0["dst"]?.string } == ["10.244.2.0/24"])
      #expect(routes.compactMap { $0["gateway"]?.string } == expected)
      #expect((routes.first?["nhid"] != nil) == hasNextHops)
    }
    try pass(node, snapshot([own]), hasNextHops: hasNextHops)
    #expect(try node.ip(json: "route", "show", "proto", "202").isEmpty)
    #expect(try node.ip(json: "nexthop", "show").isEmpty)
  }

  /// As a link that loses its carrier takes its next hops between the look and the deed.
  @Test func whatGoesMeanwhileIsNotLeftOver() throws {
    let node = try TestNode()
    try node.addUplink(addresses: "192.0.2.1/24")
    let own = (name: "a", ip: "192.0.2.1", subnet: "10.244.1.0/24")
    try pass(node, snapshot([own, ("b", "192.0.2.2", "10.244.2.0/24")]), hasNextHops: true)
    try node.sh("ip route add 10.244.3.0/24 via 192.0.2.3 proto 202")
    var socket = try node.routeSocket()
    let state = try NetworkState.read(&socket)
    let alone = try snapshot([own])
    let plan = try RoutePlan(
      alone, own: LocalNode(alone, NodeSelection(hostName: "a"), state: state), state: state)
    #expect(plan.staleRoutes.count == 2)
    try node.sh("ip nexthop flush && ip route del 10.244.3.0/24")
    let outcome = try socket.apply(plan)
    #expect(outcome.failures.isEmpty, "\(outcome.failures)")
    #expect(outcome.changes.isEmpty)
  }

  /// Two nodes swap their addresses: what is known of their hardware addresses is the other's, unless set by hand.
  @Test(arguments: [true, false])
  func aGatewayThatAnotherNodeTookIsAskedForAnew(_ hasNextHops: Bool) throws {
    let node = try TestNode()
    try node.addUplink(addresses: "192.0.2.1/24")
    let own = (name: "a", ip: "192.0.2.1", subnet: "10.244.1.0/24")
    func nodes(_ gateways: [String]) throws -> NodeSnapshot {
      try snapshot(
        [own] + gateways.enumerated().map { ("n\($0)", $1, "10.244.\($0 + 2).0/24") })
    }
    try pass(node, nodes(["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]), hasNextHops: hasNextHops)
    try node.sh(
      """
      for n in 2 3 5; do ip neighbour replace 192.0.2.$n lladdr 02:00:00:00:00:0$n dev eth0 nud reachable; done
      ip neighbour replace 192.0.2.4 lladdr 02:00:00:00:00:04 dev eth0 nud permanent
      """)
    try pass(node, nodes(["192.0.2.3", "192.0.2.4", "192.0.2.2", "192.0.2.5"]), hasNextHops: hasNextHops)
    let known = try node.ip(json: "neighbour", "show", "dev", "eth0").compactMap { entry in
      entry["lladdr"] == nil ? nil : entry["dst"]?.string
    }
    #expect(known.sorted() == ["192.0.2.4", "192.0.2.5"])
  }
}
