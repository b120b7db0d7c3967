import Addresses
import Netlink
internal import NodeRoutes
internal import Nodes
internal import OwnNode
import Testing

/// Blackhole routes for the node's own subnets as part of the plan.
@Suite struct BlackholePlanTests {
  private func scenario() -> Scenario {
    var scenario = Scenario(nodes: 3, dual: true)
    scenario.guardsSubnets = true
    return scenario
  }

  @Test func bothSubnetsGetOneBlackholeEach() throws {
    var scenario = scenario()
    let plan = try scenario.plan()
    #expect(plan.newBlackholes.map(\.destination) == [prefix("10.244.1.0/24"), prefix("fd00:10:0:1::/64")])
    // 6 is RTN_BLACKHOLE; any better metric would beat the route of the pods' bridge.
    #expect(plan.newBlackholes.allSatisfy { $0.type == 6 && $0.priority == .max && $0.owner == 202 })
    scenario.apply(plan)
    #expect(try scenario.plan().isEmpty)
    scenario.guardsSubnets = false
    let off = try scenario.plan()
    #expect(Set(off.staleRoutes) == Set(plan.newBlackholes) && off.newBlackholes.isEmpty)
  }

  /// The kernel reports IPv6 blackholes with the loopback as their link.
  @Test func blackholesReportedOnTheLoopbackAreRecognized() throws {
    var scenario = scenario()
    scenario.apply(try scenario.plan())
    for index in scenario.state.routes.indices where scenario.state.routes[index].type == 6 {
      scenario.state.routes[index].linkIndex = 1
    }
    #expect(try scenario.plan().isEmpty)
  }

  @Test func blackholeWithAnotherMetricIsReplaced() throws {
    var scenario = scenario()
    scenario.state.routes = [Route(prefix("10.244.1.0/24"), owner: 202, priority: 5, type: 6)]
    let plan = try scenario.plan()
    #expect(plan.newBlackholes.count == 2)
    #expect(plan.staleRoutes == scenario.state.routes)
  }

  /// The subnet moved to another node: a route to that node replaces the blackhole.
  @Test func blackholesFollowAMovedSubnet() throws {
    var scenario = scenario()
    scenario.apply(try scenario.plan())
    scenario.snapshot.nodes[0].subnets.v4 = prefix("10.244.9.0/24")
    scenario.snapshot.nodes[1].subnets.v4 = prefix("10.244.1.0/24")
    let plan = try scenario.plan()
    #expect(plan.newBlackholes.map(\.destination) == [prefix("10.244.9.0/24")])
    #expect(plan.newRoutes.map(\.noun.destination) == [prefix("10.244.1.0/24")])
    #expect(Set(plan.staleRoutes.map(\.destination)) == [prefix("10.244.1.0/24"), prefix("10.244.2.0/24")])
    scenario.apply(plan)
    #expect(try scenario.plan().isEmpty)
  }
}

/// Routes that flannel left, as part of the plan.
@Suite struct FlannelPlanTests {
  private static func boot(_ destination: String, via gateway: String?, type: UInt8 = 1) -> Route {
    Route(prefix(destination), via: gateway.map(address), linkIndex: 2, owner: Route.bootOwner, type: type)
  }

  private static let wanted = boot("10.244.2.0/24", via: "192.0.2.2")
  private static let leftovers = [
    boot("10.244.1.0/24", via: nil, type: 6), boot("10.244.77.0/24", via: "192.0.2.3"),
  ]
  private static let others = [
    boot("10.244.78.0/24", via: "192.0.2.99"), boot("10.99.0.0/24", via: "192.0.2.2"),
    boot("10.244.0.0/16", via: "192.0.2.2"), boot("10.244.0.0/16", via: nil, type: 6),
    Route(prefix("10.244.79.0/24"), via: address("192.0.2.2"), linkIndex: 2, owner: 4),
  ]

  @Test func leftoversOfFlannelAreReported() throws {
    let scenario = Scenario(nodes: 3)
    let plan = try scenario.plan(foreign: [Self.wanted] + Self.leftovers + Self.others)
    guard case .blocked(let reason) = plan.peers[0].state else {
      Issue.record("\(plan.peers)")
      return
    }
    #expect(reason.contains("--take-over-flannel"))
    #expect(plan.flannelsRoutes == Self.leftovers)
    #expect(plan.staleRoutes.isEmpty && plan.changedRoutes.isEmpty)
  }

  @Test func leftoversOfFlannelAreTakenOver() throws {
    var scenario = Scenario(nodes: 3)
    scenario.takesOverFlannel = true
    let plan = try scenario.plan(foreign: [Self.wanted] + Self.leftovers + Self.others)
    #expect(plan.changedRoutes.map(\.noun.destination) == [Self.wanted.destination])
    #expect(plan.newRoutes.map(\.noun.destination) == [prefix("10.244.3.0/24")])
    #expect(plan.staleRoutes == Self.leftovers && plan.flannelsRoutes.isEmpty)
    #expect(plan.peers.allSatisfy { $0.state == .missing })
  }

  @Test func routeThatIsNotFlannelsStillBlocks() throws {
    var scenario = Scenario(nodes: 3)
    scenario.takesOverFlannel = true
    let plan = try scenario.plan(foreign: [Self.boot("10.244.2.0/24", via: "192.0.2.99")])
    guard case .blocked(let reason) = plan.peers[0].state else {
      Issue.record("\(plan.peers)")
      return
    }
    #expect(!reason.contains("flannel"))
    #expect(plan.changedRoutes.isEmpty && plan.staleRoutes.isEmpty)
  }

  /// Flannel's blackhole has the metric of ours: the plan replaces it in one step and does not remove it first.
  @Test func blackholeOfFlannelIsReplaced() throws {
    var scenario = Scenario(nodes: 2)
    scenario.takesOverFlannel = true
    scenario.guardsSubnets = true
    let old = Route(prefix("10.244.1.0/24"), owner: Route.bootOwner, priority: .max, type: 6)
    let plan = try scenario.plan(foreign: [old])
    #expect(plan.changedBlackholes.map(\.destination) == [old.destination])
    #expect(plan.newBlackholes.isEmpty && plan.staleRoutes.isEmpty)
  }
}
