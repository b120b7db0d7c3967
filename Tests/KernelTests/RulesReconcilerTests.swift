import Addresses
import Linux
import NodeRules
import Testing
import TestSupport

/// The helper's table in the kernel: created, compared and repaired by the reconciler of rules.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct RulesReconcilerTests {
  private static let all = RuleSwitches(masquerade: .fullyRandom)
  private let node: TestNode
  private let state: TemporaryDirectory

  init() throws {
    node = try TestNode()
    state = try TemporaryDirectory()
  }

  private func pass(
    _ switches: RuleSwitches = all, nodes: [String] = ["192.0.2.11", "2001:db8::11"]
  ) throws -> RulesReport {
    try node.rules(switches, state: state.path, nodes: nodes) { $0.reconcile(networks: $1, nodes: $2) }
  }

  private func inspect(_ switches: RuleSwitches = all) throws -> RulesReport {
    try node.rules(switches, state: state.path) { $0.inspect(networks: $1, nodes: $2) }
  }

  private func verbs(_ report: RulesReport) -> [RuleChange.Verb] { report.changes.map(\.verb) }

  /// The whole table as `nft` lists it, with handles, which a rule keeps until it is replaced.
  private func table() throws -> String {
    try node.run(["nft", "-a", "list", "table", "inet", "causeway"]).output
  }

  @Test func nftAcceptsEveryRuleset() throws {
    for networks in [["10.244.0.0/16"], ["fd00:10:244::/48"], ["10.244.0.0/16", "fd00:10:244::/48"]] {
      for masquerade in [nil] + MasqueradePorts.allCases {
        for forwards in [true, false] {
          let ruleset = Ruleset(
            networks: networks.compactMap { IPPrefix($0) },
            nodes: ["192.0.2.1", "2001:db8::1"].compactMap { IPAddress($0) }, masquerade: masquerade,
            forwards: forwards)
          let check = try node.run(["nft", "-c", "-f", "-"], input: ruleset.text)
          #expect(check.status == 0, "\(check)\n\(ruleset.text)")
        }
      }
    }
  }

  @Test func aCorrectTableIsNotChanged() throws {
    #expect(try inspect().table == .missing)
    #expect(try verbs(pass()) == [.made])
    let table = try table()
    #expect(try inspect().table == .installed)
    #expect(try verbs(pass()) == [])
    #expect(try self.table() == table)
  }

  @Test(arguments: [
    "nft flush table inet causeway", "nft delete table inet causeway", "nft flush chain inet causeway leaving4",
    "nft delete chain inet causeway forward", "nft add rule inet causeway postrouting ip saddr 10.244.1.2 return",
    "nft insert rule inet causeway leaving6 masquerade", "nft chain inet causeway forward '{ policy drop; }'",
    "nft add chain inet causeway other", "nft 'add table inet causeway { flags dormant; }'",
    "nft 'delete set inet causeway nodes6' || nft flush table inet causeway",
    "nft delete rule inet causeway leaving4 handle $(nft -a list chain inet causeway leaving4 | sed -n 's/.*daddr @.*handle //p')",
    "nft replace rule inet causeway leaving4 handle $(nft -a list chain inet causeway leaving4 | sed -n 's/.*masq.*handle //p') masquerade",
  ])
  func everyDamageIsDetectedAndRepaired(_ damage: String) throws {
    _ = try pass()
    let before = try node.sh("nft -s list table inet causeway")
    try node.sh(damage)
    #expect(try [.changed, .missing].contains(inspect().table))
    #expect(try verbs(pass()) == [.repaired])
    #expect(try node.sh("nft -s list table inet causeway") == before)
    #expect(try verbs(pass()) == [])
  }

  /// Packets see the old table or the new one, because one transaction replaces it: no chain is missing in between.
  @Test func aTableIsReplacedAtomically() throws {
    _ = try pass()
    let monitor = try node.start(["nft", "monitor"])
    defer { monitor.stop() }
    // Events before its subscription are not shown.
    #expect(
      try eventually {
        try node.sh("nft add table inet probe; nft delete table inet probe")
        return monitor.output.contains("probe")
      })
    _ = try pass(RuleSwitches(masquerade: .random))
    try node.sh("nft add table inet end")
    #expect(eventually { monitor.output.contains("inet end") })
    let generations = monitor.output.split(separator: "\n").split { $0.hasPrefix("# new generation") }
    let change = generations.first { $0.contains { $0.contains("masquerade random") } } ?? []
    #expect(
      change.contains("delete table inet causeway") && change.contains("add table inet causeway"), "\(generations)")
  }

  @Test func otherOptionsReplaceTheTable() throws {
    _ = try pass()
    #expect(try inspect(RuleSwitches(masquerade: .random)).table == .changed)
    #expect(try verbs(pass(RuleSwitches(masquerade: .random))) == [.replaced])
    #expect(try table().contains("masquerade random"))
    #expect(try verbs(pass(RuleSwitches(masquerade: .random, forwards: false))) == [.replaced])
    #expect(try !table().contains("hook forward"))
    let off = RuleSwitches(forwards: false)
    #expect(try inspect(off).table == .changed)
    #expect(try verbs(pass(off)) == [.removed])
    #expect(try table() == "")
    #expect(try verbs(pass(off)) == [] && inspect(off).table == .off)
  }

  /// Nodes are elements of a set; adding or removing one changes nothing else.
  @Test func addedAndRemovedNodesChangeOnlyElements() throws {
    _ = try pass()
    let rules = try table().split(separator: "\n").filter { !$0.contains("elements") }
    #expect(try verbs(pass(nodes: ["192.0.2.12", "192.0.2.13", "2001:db8::11"])) == [.nodesChanged])
    let now = try table()
    #expect(now.contains("elements = { 192.0.2.12, 192.0.2.13 }") && !now.contains("192.0.2.11"), "\(now)")
    #expect(now.split(separator: "\n").filter { !$0.contains("elements") } == rules)
    try node.sh("nft 'add element inet causeway nodes4 { 192.0.2.99 }'")
    #expect(try verbs(pass(nodes: ["192.0.2.12", "192.0.2.13", "2001:db8::11"])) == [.nodesChanged])
    #expect(try table() == now)
    let many = (1...200).map { "192.0.2.\($0)" } + (1...200).map { "2001:db8::\($0)" }
    #expect(try verbs(pass(nodes: many)) == [.nodesChanged])
    #expect(try verbs(pass(nodes: many)) == [])
    #expect(try verbs(pass(nodes: [])) == [.nodesChanged])
  }

  @Test func aTableWithoutItsMarkIsReplaced() throws {
    _ = try pass()
    let before = try node.sh("nft -s list table inet causeway")
    try node.sh("nft add rule inet causeway leaving4 accept; echo broken >\(state.file("rules.mark"))")
    #expect(try verbs(pass()) == [.replaced])
    #expect(try node.sh("nft -s list table inet causeway") == before)
    #expect(try verbs(pass()) == [])
  }

  @Test func thousandsOfNodesFitTheTable() throws {
    let nodes = (0..<5000).map { "192.168.\($0 / 250).\($0 % 250)" }
    #expect(try verbs(pass(nodes: nodes)) == [.made])
    #expect(try verbs(pass(nodes: nodes)) == [])
    #expect(try verbs(pass(nodes: Array(nodes.dropFirst(3)))) == [.nodesChanged])
  }

  @Test func cleanRemovesOnlyTheTable() throws {
    try node.sh("nft add table inet causeway_pods; nft add table inet other")
    _ = try pass()
    let changes = try node.rules(Self.all, state: state.path) { rules, _, _ in try? rules.clean() }
    #expect(changes?.map(\.verb) == [.removed])
    #expect(try node.sh("nft list tables") == "table inet causeway_pods\ntable inet other\n")
    #expect(try node.rules(Self.all, state: state.path) { rules, _, _ in try? rules.clean() } == [])
  }
}

extension TestNode {
  /// Runs `body` with a reconciler of rules in the node, for the networks of the fixtures.
  func rules<Value>(
    _ switches: RuleSwitches, state: String, networks: [String] = ["10.244.0.0/16", "fd00:10:244::/48"],
    nodes: [String] = ["192.0.2.11", "2001:db8::11"],
    _ body: (RulesReconciler, [IPPrefix], [IPAddress]) -> Value
  ) throws -> Value {
    try namespace().run {
      body(
        RulesReconciler(switches: switches, stateDirectory: state), networks.compactMap { IPPrefix($0) },
        nodes.compactMap { IPAddress($0) })
    }
  }
}
