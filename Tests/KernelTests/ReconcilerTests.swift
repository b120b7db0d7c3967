import Addresses
import Backends
import Linux
import Netlink
import NodeRoutes
import Nodes
import OwnNode
import Testing
import TestSupport

/// Passes over the kernel's routes, whole and of what has changed.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct ReconcilerTests {
  private let node: TestNode
  private let reconciler: Reconciler

  init() throws {
    node = try TestNode()
    try node.addUplink(addresses: "192.0.2.1/24", "2001:db8::1/64")
    reconciler = Reconciler(
      selection: NodeSelection(hostName: "a"),
      switches: RouteSwitches(guardsSubnets: true, takesOverFlannel: false, masquerades: false))
  }

  private func here<Value: Sendable>(_ body: () throws -> Value) throws -> Value {
    try node.namespace().run { () throws(SystemError) in Result { try body() } }.get()
  }

  /// - Parameter numbers: which of the 200 nodes there are, by their places in the networks.
  private func snapshot(_ numbers: [Int], _ change: (inout Node) -> Void = { _ in }) throws -> NodeSnapshot {
    func node(_ number: Int, name: String) -> Node {
      var node = Node(
        name: name, addresses: PerFamily(v4: IPAddress("192.0.2.\(number)"), v6: IPAddress("2001:db8::\(number)")),
        subnets: PerFamily(v4: IPPrefix("10.244.\(number).0/24"), v6: IPPrefix("fd00:10:0:\(number)::/64")))
      change(&node)
      return node
    }
    return NodeSnapshot(
      netConf: NetConf(
        networks: [IPPrefix("10.244.0.0/16"), IPPrefix("fd00:10::/48")].compactMap { $0 }, backend: HostGateway()),
      nodes: numbers.map { node($0, name: "n\($0)") },
      own: Node(
        name: "a", addresses: PerFamily(v4: IPAddress("192.0.2.1"), v6: IPAddress("2001:db8::1")),
        subnets: PerFamily(v4: IPPrefix("10.244.1.0/24"), v6: IPPrefix("fd00:10:0:1::/64"))))
  }

  /// A route to a node's address leads around its network, but for the plugin's to a pod.
  @Test func aPodsRouteIsNoDetour() throws {
    var snapshot = try snapshot([2])
    snapshot.netConf.backend = VXLANConf(routesDirectly: true)
    for (owner, state) in [("203", "missing"), ("static", "skipped")] {
      try node.sh("ip route replace 192.0.2.2/32 via 192.0.2.254 proto \(owner)")
      let report = try here { [reconciler, snapshot] in try reconciler.inspect(snapshot) }
      #expect(report.peers.first { $0.family == .v4 }?.stateName == state, "\(report.peers)")
    }
  }

  /// What is changed step by step is at each moment what a look at everything would have made of it.
  @Test(arguments: 0..<6 as Range<UInt64>) func followsWhatChanges(_ seed: UInt64) throws {
    var generator = Seeded(state: seed)
    var numbers = Set((2...20).map { $0 })
    var odd: [Int: Int] = [:]
    var report = try here { [reconciler] in try reconciler.reconcile(snapshot(numbers.sorted())) }
    for step in 0..<40 {
      for _ in 0...Int.random(in: 0...2, using: &generator) {
        let number = Int.random(in: 2...60, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: numbers.insert(number)
        case 1: numbers.remove(number)
        default: odd[number] = Int.random(in: 0..<6, using: &generator)
        }
      }
      let nodes = try snapshot(numbers.sorted()) { node in
        let number = Int(node.name.dropFirst()) ?? 0
        switch odd[number] {
        // It has the address of another, or of none of our neighbours.
        case 1: node.addresses.v4 = IPAddress("192.0.2.\(number + 1)")
        case 2: node.addresses.v4 = IPAddress("198.51.100.\(number)")
        case 3: node.addresses.v6 = nil
        case 4: node.obstacles.v4 = "of another backend"
        case 5: node.subnets.v6 = nil
        default: break
        }
      }
      report = try here { [reconciler, report] in try reconciler.follow(nodes, since: report) }
      let whole = try here { [reconciler] in try reconciler.reconcile(nodes) }
      #expect(whole.changes == [] && whole.problems == [], "step \(step)")
      #expect(report.peers == whole.peers, "step \(step)")
    }
  }

  /// Whoever may have touched the kernel is the business of a whole pass.
  @Test func looksOnlyAtWhatHasChanged() throws {
    let before = try snapshot(Array(2...9))
    let report = try here { [reconciler] in try reconciler.reconcile(before) }
    try node.ip("route", "del", "10.244.5.0/24", "proto", "202")
    let after = try snapshot(Array(2...10))
    let followed = try here { [reconciler] in try reconciler.follow(after, since: report) }
    #expect(followed.changes.compactMap(\.node) == ["n10", "n10"])
    let whole = try here { [reconciler] in try reconciler.reconcile(after, since: followed) }
    #expect(whole.changes.compactMap(\.subnet) == [IPPrefix("10.244.5.0/24")])
  }

  /// What is not as the last pass left it makes a pass a whole one.
  @Test func whatStandsInTheWayIsFound() throws {
    let report = try here { [reconciler] in try reconciler.reconcile(snapshot([2, 3])) }
    try node.sh("ip route add 10.244.4.0/24 via 192.0.2.99; ip route del 10.244.3.0/24 proto 202")
    let followed = try here { [reconciler] in try reconciler.follow(snapshot([2, 3, 4]), since: report) }
    #expect(followed.peers.filter { $0.family == .v4 }.map(\.stateName) == ["installed", "installed", "blocked"])
    #expect(try node.ip(json: "route", "show", "10.244.3.0/24").count == 1)
  }

  /// Changes bear the mark by which the helper knows its own, so it need not look again for them.
  @Test func ownChangesAreNoNews() throws {
    var events = try RouteEvents(tunnelsMarked: "causeway-hostgw", in: node.namespace())
    while try events.waitForChange(atMost: .milliseconds(200)) {}
    _ = try here { [reconciler] in try reconciler.reconcile(snapshot([2, 3])) }
    #expect(try !events.waitForChange(atMost: .milliseconds(200), but: Reconciler.port))
    try node.ip("route", "del", "10.244.3.0/24", "proto", "202")
    #expect(try events.waitForChange(atMost: .seconds(10), but: Reconciler.port))
  }
}
