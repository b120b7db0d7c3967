import NodeRules
import Testing
import TestSupport

/// Rules that flannel leaves in nf_tables: reported, and removed if ours replace them.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct FlannelRulesTests {
  private static let leftovers = """
    for p in iptables ip6tables; do
      n=10.244.0.0/16; [ $p = iptables ] || n=fd00:10:244::/48
      $p -t nat -N FLANNEL-POSTRTG
      $p -t nat -A POSTROUTING -m comment --comment 'flanneld masq' -j FLANNEL-POSTRTG
      $p -t nat -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment 'flanneld masq' -j RETURN
      $p -t nat -A FLANNEL-POSTRTG -s $n -m comment --comment 'flanneld masq' -j MASQUERADE --random-fully
      $p -t nat -A POSTROUTING -s 198.18.0.0/15 -j MASQUERADE 2>/dev/null || true
      $p -N FLANNEL-FWD
      $p -A FORWARD -m comment --comment 'flanneld forward' -j FLANNEL-FWD
      for d in s d; do $p -A FLANNEL-FWD -$d $n -m comment --comment 'flanneld forward' -j ACCEPT; done
      $p -A FORWARD -i x -j DROP
    done
    for t in 'ip flannel-ipv4' 'ip6 flannel-ipv6'; do
      nft "add table $t; add chain $t postrtg { type nat hook postrouting priority srcnat; }; add rule $t postrtg masquerade"
    done
    """
  private let node: TestNode
  private let state: TemporaryDirectory

  init() throws {
    node = try TestNode()
    state = try TemporaryDirectory()
    try node.sh(Self.leftovers)
  }

  private func pass(_ switches: RuleSwitches) throws -> RulesReport {
    try node.rules(switches, state: state.path) { $0.reconcile(networks: $1, nodes: $2) }
  }

  private func ruleset() throws -> String { try node.sh("nft -s list ruleset") }

  @Test func withoutTheOptionFlannelsRulesAreOnlyReported() throws {
    let before = try ruleset()
    let report = try pass(RuleSwitches(forwards: false))
    #expect(report.problems == [] && report.changes == [])
    #expect(
      report.warnings.count == 6 && report.warnings.allSatisfy { $0.contains("--take-over-flannel") }, "\(report)")
    #expect(try ruleset() == before)
  }

  @Test func takeOverRemovesOnlyFlannelsRules() throws {
    let report = try pass(RuleSwitches(masquerade: .random, takesOverFlannel: true))
    #expect(report.problems == [] && report.warnings == [], "\(report)")
    #expect(report.changes.map(\.verb) == [.made] + Array(repeating: .takenOver, count: 6))
    let now = try ruleset()
    #expect(!now.lowercased().contains("flannel"), "\(now)")
    #expect(now.contains("198.18.0.0/15") && now.contains(#"iifname "x""#))
    #expect(try pass(RuleSwitches(masquerade: .random, takesOverFlannel: true)).changes == [])
    #expect(try node.run(["iptables", "-t", "nat", "-S"]).status == 0)
  }

  @Test func acceptRulesThatPodsNeedAreKept() throws {
    try node.sh("iptables -P FORWARD DROP")
    let report = try pass(RuleSwitches(takesOverFlannel: true))
    // Packets pass because of flannel's accept.
    #expect(report.problems == [], "\(report)")
    #expect(report.warnings.filter { $0.contains("--ip-masq") }.count == 4, "\(report)")
    let forward = report.warnings.filter { $0.contains("--forward-insert") }
    #expect(forward.count == 1 && forward.allSatisfy { $0.contains("ip filter FLANNEL-FWD stays") }, "\(forward)")
    // In the other family no packet is dropped without it.
    #expect(report.changes.map(\.subject) == ["inet causeway", "chain ip6 filter FLANNEL-FWD"])
    let now = try ruleset()
    #expect(now.contains("FLANNEL-POSTRTG") && now.contains("jump FLANNEL-FWD") && now.contains("flannel-ipv4"))
  }

  @Test func ourAcceptIsAddedBeforeFlannelsIsRemoved() throws {
    try node.sh("iptables -P FORWARD DROP")
    let report = try pass(RuleSwitches(masquerade: .random, insertsAccept: true, takesOverFlannel: true))
    #expect(report.problems == [] && report.warnings == [], "\(report)")
    #expect(report.changes.map(\.verb).contains(.acceptInserted))
    let chain = try node.sh("iptables -S FORWARD")
    #expect(chain.contains("-s 10.244.0.0/16") && !chain.contains("FLANNEL"), "\(chain)")
  }
}
