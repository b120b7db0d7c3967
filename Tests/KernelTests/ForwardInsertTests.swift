import NodeRules
import Testing
import TestSupport

/// Other programs' chains that drop forwarded packets: reported, and opened with `--forward-insert`.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct ForwardInsertTests {
  private let node: TestNode
  private let state: TemporaryDirectory

  init() throws {
    node = try TestNode()
    state = try TemporaryDirectory()
  }

  private func pass(insert: Bool, forwards: Bool = true) throws -> RulesReport {
    try node.rules(RuleSwitches(forwards: forwards, insertsAccept: insert), state: state.path) {
      $0.reconcile(networks: $1, nodes: $2)
    }
  }

  /// A script, the chain that drops packets after it, and the expected rules of that chain, with `A`
  /// for our pair of accepts.
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let script: String
    let chain: String
    let rules: String

    init(_ description: String, _ script: String, chain: String, rules: String) {
      testDescription = description
      self.script = script
      self.chain = chain
      self.rules = rules
    }
  }

  private static let cases = [
    Case("a policy of DROP, as Docker has it", "iptables -P FORWARD DROP", chain: "ip filter FORWARD", rules: "A"),
    Case("the same of IPv6", "ip6tables -P FORWARD DROP", chain: "ip6 filter FORWARD", rules: "A"),
    Case(
      "what others decide goes first",
      "iptables -P FORWARD DROP; iptables -A FORWARD -s 10.244.1.99 -j DROP; iptables -A FORWARD -i x -j ACCEPT",
      chain: "ip filter FORWARD", rules: "ip saddr 10.244.1.99 drop; iifname \"x\" accept; A"),
    Case(
      "a rule that drops all, with nft",
      "nft 'add table inet f; add chain inet f fw { type filter hook forward priority 10; }; add rule inet f fw ct state established accept; add rule inet f fw counter drop; add rule inet f fw accept'",
      chain: "inet f fw", rules: "ct state established accept; A; drop; accept"),
    Case(
      "a rule that rejects all, of iptables",
      "iptables -A FORWARD -i x -j ACCEPT; iptables -A FORWARD -j REJECT; iptables -A FORWARD -j ACCEPT",
      chain: "ip filter FORWARD", rules: "iifname \"x\" accept; A; reject; accept"),
    Case(
      "in a chain that all packets are sent to",
      """
      nft -f - <<'END'
      table inet firewalld {
        chain zones { ct mark 1 return; goto public; }
        chain public { jump nothing; reject with icmpx admin-prohibited; }
        chain nothing { return; }
        chain filter_FORWARD { type filter hook forward priority 10; policy accept; ct state established accept; jump zones; }
      }
      END
      """, chain: "inet firewalld public", rules: "jump nothing; A; reject with icmpx admin-prohibited"),
    Case(
      "a policy that a chain goes to",
      """
      nft -f - <<'END'
      table ip f {
        chain last { ct mark 1 accept; }
        chain fw { type filter hook forward priority 0; policy drop; goto last; }
      }
      END
      """, chain: "ip f last", rules: "ct mark 0x00000001 accept; A"),
    Case(
      "a policy that a rule returns to",
      "nft 'add table ip f; add chain ip f fw { type filter hook forward priority 0; policy drop; }; add rule ip f fw return; add rule ip f fw accept'",
      chain: "ip f fw", rules: "A; return; accept"),
    Case(
      "an accept of one direction is not enough",
      "iptables -P FORWARD DROP; iptables -A FORWARD -s 10.244.0.0/16 -j ACCEPT",
      chain: "ip filter FORWARD", rules: "ip saddr 10.244.0.0/16 accept; A"),
    Case(
      "an accept of some pods is not enough",
      "iptables -P FORWARD DROP; for d in s d; do iptables -A FORWARD -$d 10.244.1.0/24 -j ACCEPT; done",
      chain: "ip filter FORWARD", rules: "ip saddr 10.244.1.0/24 accept; ip daddr 10.244.1.0/24 accept; A"),
    Case(
      "an accept behind the rule that drops",
      "iptables -A FORWARD -j DROP; for d in s d; do iptables -A FORWARD -$d 10.0.0.0/8 -j ACCEPT; done",
      chain: "ip filter FORWARD", rules: "A; drop; ip saddr 10.0.0.0/8 accept; ip daddr 10.0.0.0/8 accept"),
  ]

  /// The rules of a chain without counters, in order, with `A` for ours.
  private func rules(_ chain: String) throws -> String {
    let lines = try node.sh("nft list chain \(chain)").split(separator: "\n").map {
      $0.replacing(#/counter packets \d+ bytes \d+ /#, with: "").trimmingPrefix(#/\s+/#)
    }
    let rules = lines.dropFirst(2).filter { !$0.hasPrefix("type ") && $0 != "}" }.map { String($0) }
    let accept =
      #/(ip6? saddr [0-9a-f.:\/]+ accept comment "causeway-hostgw"; ip6? daddr [0-9a-f.:\/]+ accept comment "causeway-hostgw"(; )?)+/#
    return rules.joined(separator: "; ").replacing(accept) { $0.output.2 == nil ? "A" : "A; " }
  }

  @Test(arguments: cases)
  func droppingChainsAreReportedAndOpened(_ sample: Case) throws {
    try node.sh(sample.script)
    let before = try node.sh("nft -s list ruleset")
    let told = try pass(insert: false)
    #expect(told.problems.count == 1)
    #expect(told.problems.allSatisfy { $0.contains(sample.chain) && $0.contains("--forward-insert") }, "\(told)")
    let family = sample.chain.prefix { $0 != " " }
    #expect(told.problems.allSatisfy { $0.contains("10.244.0.0/16") == (family != "ip6") })
    #expect(told.problems.allSatisfy { $0.contains("fd00:10:244::/48") == (family != "ip") })
    let inserted = try pass(insert: true)
    #expect(inserted.problems == [])
    #expect(inserted.changes.map(\.verb) == [.acceptInserted] && inserted.changes.map(\.subject) == [sample.chain])
    #expect(try rules(sample.chain) == sample.rules)
    let again = try pass(insert: true)
    #expect(again.changes == [] && again.problems == [])
    // iptables can still list its tables.
    if sample.script.contains("iptables") {
      #expect(try node.run(["iptables", "-S"]).status == 0 && node.run(["ip6tables", "-S"]).status == 0)
    }
    // Switched off, the rules are as before.
    let off = try pass(insert: false)
    #expect(off.changes.map(\.verb) == [.acceptRemoved])
    try node.sh("nft delete table inet causeway")
    #expect(try node.sh("nft -s list ruleset") == before)
  }

  @Test(arguments: [
    "iptables -P FORWARD ACCEPT",
    "iptables -P FORWARD DROP; for d in s d; do iptables -A FORWARD -$d 10.244.0.0/16 -j ACCEPT; done",
    "iptables -P FORWARD DROP; iptables -N USER; iptables -A FORWARD -j USER; for d in s d; do iptables -A USER -$d 10.0.0.0/8 -j ACCEPT; done",
    "iptables -P FORWARD DROP; iptables -A FORWARD -j ACCEPT", "iptables -A FORWARD -s 10.244.1.99 -j DROP",
    "iptables -A FORWARD -i x -j REJECT", "iptables -P INPUT DROP; iptables -P OUTPUT DROP",
    "nft 'add table inet f; add chain inet f i { type filter hook input priority 0; policy drop; }'",
    "nft 'add table inet f; add chain inet f fw { type filter hook forward priority 0; }; add rule inet f fw ct state invalid drop; add rule inet f fw ip protocol gre drop; add rule inet f fw meta nfproto ipv6 ip6 saddr fd01::/64 drop'",
    "nft 'add table ip f; add chain ip f a; add chain ip f fw { type filter hook forward priority 0; policy drop; }; add rule ip f a return; add rule ip f a drop; add rule ip f fw jump a; add rule ip f fw accept'",
    "nft 'add table bridge f; add chain bridge f fw { type filter hook forward priority 0; policy drop; }'",
  ])
  func chainsThatDropNoPodPacketAreNotReported(_ script: String) throws {
    try node.sh(script)
    let report = try pass(insert: true)
    #expect(report.problems == [] && report.changes.map(\.verb) == [.made], "\(report)")
  }

  @Test func aRemovedAcceptIsRestoredInItsPlace() throws {
    try node.sh("iptables -P FORWARD DROP")
    _ = try pass(insert: true)
    for damage in [
      "iptables -F FORWARD", "iptables -D FORWARD 1", "iptables -I FORWARD -j DROP",
      "iptables -A FORWARD -s 10.244.0.0/16 -m comment --comment causeway-hostgw -j ACCEPT",
    ] {
      try node.sh(damage)
      let report = try pass(insert: true)
      #expect(report.changes.map(\.verb) == [.acceptInserted], "\(damage): \(report)")
      #expect(try pass(insert: true).changes == [])
    }
    // A chain that no longer drops packets needs no accept.
    try node.sh("iptables -P FORWARD ACCEPT; iptables -D FORWARD -j DROP")
    #expect(try pass(insert: true).changes.map(\.verb) == [.acceptRemoved])
    #expect(try rules("ip filter FORWARD") == "")
  }

  @Test func switchedOffNothingIsRead() throws {
    try node.sh("iptables -P FORWARD DROP")
    _ = try pass(insert: true)
    let report = try pass(insert: true, forwards: false)
    #expect(report.problems == [] && report.changes.map(\.verb) == [.removed, .acceptRemoved])
    #expect(try rules("ip filter FORWARD") == "")
  }

  @Test func cleanRemovesAcceptsFromAllChains() throws {
    try node.sh("iptables -P FORWARD DROP")
    _ = try pass(insert: true)
    // No rule leads to this chain any more.
    try node.sh(
      #"nft 'add chain ip filter OLD; add rule ip filter OLD accept comment "causeway-hostgw"; add rule ip filter OLD accept'"#
    )
    let changes = try node.rules(RuleSwitches(), state: state.path) { rules, _, _ in try? rules.clean() }
    #expect(changes?.map(\.verb) == [.removed, .acceptRemoved, .acceptRemoved])
    #expect(try rules("ip filter FORWARD") == "" && rules("ip filter OLD") == "accept")
  }
}
