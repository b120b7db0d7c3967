package import JSON
internal import Netfilter
internal import Netlink
internal import Nodes
package import Parts

extension Trigger {
  /// Another program has changed the helper's table, its rules in chains of others, or a chain of forwarded packets.
  package static let rules = Trigger("rules")
}

/// The node's rules as a part of the agent.
package struct RulesPart: NodePart {
  private let reconciler: RulesReconciler
  private let switches: RuleSwitches

  package init(switches: RuleSwitches, stateDirectory: String) {
    self.switches = switches
    reconciler = RulesReconciler(switches: switches, stateDirectory: stateDirectory)
  }

  /// The state of rules that this user must not read.
  private static let hidden = "hidden"

  package var name: String { "rules" }
  package var stage: Stage { .rules }
  package var triggers: Set<Trigger> { [.nodes, .rules] }
  package var repairsKey: String? { "ruleRepairs" }

  /// Nodes may come and go by the hundred. Rules that were refused are not tried again for every notification.
  package var pacing: Pacing {
    let burst = Duration.milliseconds(3)
    return Pacing(
      nodes: .init(burst: burst) { _ in .milliseconds(500) }, others: .init(burst: burst), holdsBack: true)
  }

  package var feeds: [Feed] {
    [
      // A kernel without nf_tables has no notifications.
      Feed(.rules, mayFail: true) { fire in
        var events = try NetfilterEvents(table: RulesReconciler.tableName, comment: RulesReconciler.acceptComment)
        while fire() { _ = try events.waitForChange(atMost: .seconds(30)) }
      }
    ]
  }

  package func reconcile(_ view: NodeView, since previous: RulesReport?) throws -> RulesReport {
    let nodes = try view.nodes
    var report = reconciler.reconcile(networks: nodes.netConf.networks, nodes: nodes.addresses)
    report.isFirst = previous == nil
    report.haveBeenIn = previous?.haveBeenIn == true || !report.hasFailed
    return report
  }

  package func inspect(_ view: NodeView, since previous: RulesReport?) throws -> RulesReport? {
    let nodes = try view.nodes
    var report = reconciler.inspect(networks: nodes.netConf.networks, nodes: nodes.addresses)
    report.haveBeenIn = previous?.haveBeenIn ?? true
    return report
  }

  package func clean() throws -> [Change] { try reconciler.clean().map(\.change) }

  package func verify(_ report: RulesReport) throws {
    if !report.problems.isEmpty { throw NotSettled() }
  }

  /// Rules that were in once and cannot be restored now do not make the node unready.
  package func findings(_ report: RulesReport?) -> [Finding] {
    guard let report else { return [] }
    return report.findings + (report.haveBeenIn ? [] : [.rulesNotIn(report.problems)])
  }

  package func metrics(_ report: RulesReport?, _ tally: PartTally) -> [Metric] {
    let repairs = Metric(
      .counter, "causeway_rule_repairs_total", "Rules that were put right after somebody had changed them.",
      Double(tally.repairs))
    guard let report else { return [repairs] }
    let isRight = !report.hasFailed && [.installed, .off].contains(report.table)
    return [
      repairs,
      Metric(
        .gauge, "causeway_rule_drift", "Whether the rules are not as they must be and could not be put right.",
        isRight ? 0 : 1),
    ]
  }

  package func json(_ report: RulesReport?, _ tally: PartTally) -> JSONObject {
    guard let report else { return ["rules": .null] }
    return [
      "rules": [
        "table": .string("\(RulesReconciler.tableName)"),
        "state": .string(report.mayNotLook ? RulesPart.hidden : report.table.rawValue),
        "masquerade": switches.masquerade.map { .string($0.rawValue) } ?? .null, "forward": .bool(switches.forwards),
      ]
    ]
  }

  package func lines(_ status: JSONObject, _ paint: StatusPaint) -> [String] {
    guard let rules = status["rules"]?.object else { return [] }
    let masquerade = rules["masquerade"]?.string.map { "masquerade with \($0) ports" } ?? "no masquerade"
    let forward = rules["forward"] == true ? "forwarding accepted" : "forwarding left to others"
    let state = rules["state"]?.string ?? ""
    return [
      "Rules:   \(masquerade), \(forward); table \(rules["table"]?.string ?? "") "
        + (state == RulesPart.hidden ? "can't be seen (try as root)" : state)
    ]
  }
}
