import Addresses
import Netlink
internal import NodeRoutes
import NodeState
import Nodes
internal import OwnNode
import Testing

@Suite struct RoutePlanTests {
  @Test(arguments: [true, false])
  func secondPlanIsEmpty(hasNextHops: Bool) throws {
    var scenario = Scenario(nodes: 20, dual: true, hasNextHops: hasNextHops)
    let plan = try scenario.plan()
    #expect(plan.newRoutes.count == 38)
    #expect(plan.newNextHops.count == (hasNextHops ? 38 : 0))
    #expect(plan.peers.allSatisfy { $0.state == .missing })
    scenario.apply(plan)
    let again = try scenario.plan()
    #expect(again.isEmpty)
    #expect(again.peers.count == 38)
    #expect(again.peers.allSatisfy { $0.state == .installed && $0.link == "eth0" })
  }

  /// Nodes are added, removed and moved at random; after each plan was applied, the next plan is empty.
  @Test(arguments: [true, false])
  func onePlanCompletesEveryChange(hasNextHops: Bool) throws {
    var generator = SystemRandomNumberGenerator()
    var scenario = Scenario(nodes: 1, dual: true, hasNextHops: hasNextHops)
    for _ in 0..<200 {
      var gateways = Array(2...40).shuffled(using: &generator)
      let others = (2...20).shuffled(using: &generator).prefix(Int.random(in: 0...19, using: &generator))
      scenario.snapshot.nodes = [Scenario.node(1, dual: true)]
      for number in others {
        var node = Scenario.node(number, dual: true)
        // Some nodes keep their address, some get another one, some become off-link.
        if Bool.random(using: &generator) {
          node.addresses.v4 = gateways.popLast().map { address("192.0.2.\($0 + 100)") }
        }
        if Int.random(in: 0..<4, using: &generator) == 0 { node.addresses.v6 = address("fd00:3::\(number)") }
        scenario.snapshot.nodes.append(node)
      }
      scenario.apply(try scenario.plan())
      let again = try scenario.plan()
      #expect(again.isEmpty)
      #expect(Set(scenario.state.routes.map(\.destination)).count == scenario.state.routes.count)
      #expect(again.peers.allSatisfy { $0.state != .missing })
    }
  }

  @Test func routeWithAnotherGatewayIsReplacedInPlace() throws {
    var scenario = Scenario(nodes: 2)
    scenario.apply(try scenario.plan())
    let old = try #require(scenario.state.nextHops?.owned.first)
    scenario.snapshot.nodes[1].addresses.v4 = address("192.0.2.77")
    let plan = try scenario.plan()
    #expect(plan.newRoutes.isEmpty)
    #expect(plan.staleRoutes.isEmpty)
    #expect(plan.changedRoutes.map(\.noun.destination) == [prefix("10.244.2.0/24")])
    #expect(plan.newNextHops.map(\.noun.gateway) == [address("192.0.2.77")])
    #expect(plan.staleNextHops == [old])
  }

  @Test func gatewayOnAnotherLinkKeepsItsNextHopIDAndRoutes() throws {
    var scenario = Scenario(nodes: 2)
    scenario.apply(try scenario.plan())
    scenario.state.links.append(Scenario.link(3, "eth1"))
    scenario.state.addresses = [LinkAddress(prefix("192.0.2.1/24"), linkIndex: 3)]
    let plan = try scenario.plan()
    #expect(plan.changedNextHops.map(\.noun.linkIndex) == [3])
    #expect(plan.changedNextHops.map(\.noun.id) == scenario.state.nextHops?.owned.map(\.id))
    #expect(plan.newRoutes.isEmpty && plan.changedRoutes.isEmpty && plan.staleRoutes.isEmpty)
    scenario.apply(plan)
    #expect(try scenario.plan().isEmpty)
  }

  @Test func unwantedRoutesAndNextHopsAreRemoved() throws {
    var scenario = Scenario(nodes: 4)
    scenario.apply(try scenario.plan())
    scenario.snapshot.nodes.removeLast(2)
    // A route for this node's own subnet, and a route with another metric.
    let strays = [
      Route(prefix("10.244.1.0/24"), via: address("192.0.2.9"), linkIndex: 2, owner: 202),
      Route(prefix("10.244.2.0/24"), via: address("192.0.2.9"), linkIndex: 2, owner: 202, priority: 50),
    ]
    scenario.state.routes += strays
    let plan = try scenario.plan()
    #expect(plan.newRoutes.isEmpty && plan.changedRoutes.isEmpty)
    #expect(
      Set(plan.staleRoutes.map(\.destination.description)) == [
        "10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24", "10.244.4.0/24",
      ])
    #expect(plan.staleNextHops.count == 2)
    scenario.apply(plan)
    #expect(try scenario.plan().isEmpty)
    #expect(scenario.state.routes.map(\.destination) == [prefix("10.244.2.0/24")])
  }

  @Test func foreignRouteBlocksAndTheReasonNamesIt() throws {
    let scenario = Scenario(nodes: 3)
    let foreign = Route(prefix("10.244.2.0/24"), via: address("192.0.2.99"), linkIndex: 2, owner: 4)
    let plan = try scenario.plan(foreign: [foreign])
    #expect(plan.newRoutes.map(\.noun.destination) == [prefix("10.244.3.0/24")])
    // No next hop is planned for the blocked route. Each pass would add and remove it, and so trigger the next pass.
    #expect(plan.newNextHops.map(\.noun.gateway) == [address("192.0.2.3")])
    let reason = try #require(plan.peers.first { $0.node == "b" }?.reason)
    #expect(reason.contains("proto static via 192.0.2.99 dev eth0"), "\(reason)")
  }

  /// The names of our own protocol numbers are those of `conf/causeway-protocols.conf`.
  @Test(arguments: [(RouteProtocol.plugin, "proto causeway-pod"), (4, "proto static"), (99, "proto 99")])
  func reasonNamesTheProtocolOfAForeignRoute(owner: UInt8, name: String) throws {
    let foreign = Route(prefix("10.244.2.0/24"), linkIndex: 2, owner: owner)
    let plan = try Scenario(nodes: 2).plan(foreign: [foreign])
    let reason = try #require(plan.peers.first?.reason)
    #expect(reason.contains("(\(name) dev eth0)"), "\(reason)")
  }

  @Test func foreignRouteWithAnotherMetricDoesNotBlock() throws {
    let scenario = Scenario(nodes: 2, dual: true)
    let foreign = [
      Route(prefix("10.244.2.0/24"), via: address("192.0.2.99"), linkIndex: 2, owner: 4, priority: 100),
      Route(prefix("fd00:10:0:2::/64"), via: address("fd00:2::99"), linkIndex: 2, owner: 4, priority: 1024),
    ]
    let plan = try scenario.plan(foreign: foreign)
    #expect(plan.newRoutes.map(\.noun.destination) == [prefix("10.244.2.0/24")])
    #expect(plan.peers.map(\.stateName) == ["missing", "blocked"])
  }

  @Test func ownRouteBesideAForeignOneIsNotReplaced() throws {
    var scenario = Scenario(nodes: 2)
    scenario.apply(try scenario.plan())
    scenario.snapshot.nodes[1].addresses.v4 = address("192.0.2.77")
    let foreign = Route(prefix("10.244.2.0/24"), via: address("192.0.2.99"), linkIndex: 2, owner: 4)
    let plan = try scenario.plan(foreign: [foreign])
    #expect(plan.changedRoutes.isEmpty && plan.newRoutes.isEmpty)
    #expect(plan.staleRoutes.count == 1)
    #expect(plan.peers.map(\.stateName) == ["blocked"])
  }

  @Test func familiesArePlannedIndependently() throws {
    var scenario = Scenario(nodes: 4, dual: true)
    scenario.snapshot.nodes[1].addresses.v6 = nil
    scenario.snapshot.nodes[2].subnets.v4 = nil
    scenario.snapshot.nodes[3].addresses.v4 = address("198.51.100.4")
    let states = try scenario.plan().peers.map { "\($0.node) \($0.family) \($0.stateName)" }
    #expect(
      states == [
        "b IPv4 missing", "b IPv6 no-address", "c IPv4 no-subnet", "c IPv6 missing", "d IPv4 off-link",
        "d IPv6 missing",
      ])
  }

  /// The kernel lists all routes of a destination together; the plan does not depend on it.
  @Test func planDoesNotDependOnTheOrderOfRoutes() throws {
    var scenario = Scenario(nodes: 4)
    scenario.apply(try scenario.plan())
    let others = [20, 30].flatMap { metric in
      [2, 3].map { number in
        Route(
          prefix("10.244.\(number).0/24"), via: address("192.0.2.9"), linkIndex: 2, owner: 202, priority: metric)
      }
    }
    scenario.state.routes = (scenario.state.routes + others).shuffled()
    let plan = try scenario.plan()
    #expect(plan.newRoutes.isEmpty && plan.changedRoutes.isEmpty)
    #expect(Set(plan.staleRoutes) == Set(others) && plan.staleRoutes.count == 4)
  }

  /// Several next hops have one gateway: the plan uses the one on the right link and removes the others.
  @Test func nextHopOnTheRightLinkIsUsed() throws {
    var scenario = Scenario(nodes: 2)
    scenario.apply(try scenario.plan())
    let good = try #require(scenario.state.nextHops?.owned.first)
    let others = (1...2).map { number in
      NextHop(id: UInt32(number), gateway: good.gateway, linkIndex: 7, owner: 202)
    }
    for hops in [[good] + others, others + [good], [others[0], good, others[1]]] {
      scenario.state.nextHops?.owned = hops
      let plan = try scenario.plan()
      #expect(plan.newNextHops.isEmpty && plan.changedNextHops.isEmpty)
      #expect(plan.staleNextHops == others)
    }
    scenario.state.nextHops?.owned = others
    let plan = try scenario.plan()
    #expect(plan.changedNextHops.map(\.noun.linkIndex) == [2])
    #expect(plan.staleNextHops.count == 1)
  }

  /// A removed address may come back soon; the routes work without it.
  @Test(arguments: [true, false]) func routesOfAFamilyStayWhileItsAddressIsMissing(hasNextHops: Bool) throws {
    var scenario = Scenario(nodes: 4, dual: true, hasNextHops: hasNextHops)
    scenario.apply(try scenario.plan())
    scenario.state.addresses.removeLast()
    // Meanwhile one node is removed and one is added.
    scenario.snapshot.nodes.removeLast()
    scenario.snapshot.nodes.append(Scenario.node(5, dual: true))
    let plan = try scenario.plan()
    #expect(plan.staleRoutes.map(\.destination) == [prefix("10.244.4.0/24")])
    #expect(plan.staleNextHops.map(\.gateway) == (hasNextHops ? [address("192.0.2.4")] : []))
    #expect(plan.newRoutes.map(\.noun.destination) == [prefix("10.244.5.0/24")])
    let reasons = plan.peers.filter { $0.family == .v6 }.map { $0.reason?.contains("stays for now") }
    #expect(reasons == [true, true, false])
    scenario.apply(plan)
    scenario.state.addresses.append(LinkAddress(prefix("fd00:2::1/64"), linkIndex: 2))
    scenario.apply(try scenario.plan())
    #expect(try scenario.plan().isEmpty)
    #expect(scenario.state.routes.count == 6)
  }

  /// The cluster has two families, this node has one: it has no routes of the other.
  @Test func singleStackNodeHasNoRoutesOfTheOtherFamily() throws {
    var scenario = Scenario(nodes: 3, dual: true)
    scenario.apply(try scenario.plan())
    scenario.snapshot.nodes[0].addresses.v6 = nil
    scenario.snapshot.nodes[0].subnets.v6 = nil
    let plan = try scenario.plan()
    #expect(plan.peers.map(\.family) == [.v4, .v4])
    #expect(plan.peers.map(\.isSettled) == [true, true])
    #expect(plan.staleRoutes.map(\.destination.family) == [.v6, .v6])
  }

  @Test func nextHopIDsInUseAreAvoided() throws {
    var scenario = Scenario(nodes: 2)
    let first = try #require(try scenario.plan().newNextHops.first?.noun.id)
    scenario.state.nextHops?.takenIDs = [first, first + 1]
    let second = try #require(try scenario.plan().newNextHops.first?.noun.id)
    #expect(second == first + 2)
    #expect(first >> 24 == 0xCA)
  }

  @Test func fiveThousandNodesGetDistinctNextHopIDs() throws {
    var scenario = Scenario(nodes: 1)
    scenario.snapshot.netConf.networks = [prefix("10.0.0.0/8")]
    scenario.state.addresses = [LinkAddress(prefix("172.16.0.1/12"), linkIndex: 2)]
    scenario.snapshot.nodes[0].addresses.v4 = address("172.16.0.1")
    for number in 1...5000 {
      scenario.snapshot.nodes.append(
        Node(
          name: "n\(number)", addresses: PerFamily(v4: address("172.17.\(number / 250).\(number % 250)")),
          subnets: PerFamily(v4: prefix("10.\(number / 256).\(number % 256).0/24"))))
    }
    let plan = try scenario.plan()
    #expect(Set(plan.newNextHops.map(\.noun.id)).count == 5000)
  }
}
