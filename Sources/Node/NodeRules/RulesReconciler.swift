package import Addresses
internal import Glibc
package import Netfilter
internal import Netlink

/// Makes the node's rules what they must be: the helper's own table, the accepts in chains of others, and what flannel
/// left. Like the routes they are looked at anew each time.
package struct RulesReconciler: Sendable {
  private let switches: RuleSwitches
  private let table: NodeTable

  /// The helper's own table.
  package static let tableName = NodeTable.name
  /// The comment of each rule of ours in chains of others.
  package static let acceptComment = AcceptPlan.comment

  package init(switches: RuleSwitches, stateDirectory: String) {
    self.switches = switches
    table = NodeTable(stateDirectory: stateDirectory)
  }

  private func ruleset(_ networks: [IPPrefix], _ nodes: [IPAddress]) -> Ruleset {
    Ruleset(
      networks: networks, nodes: nodes, masquerade: switches.masquerade, forwards: switches.forwards,
      tracks: switches.tracks)
  }

  /// One pass in the calling thread's network namespace; it blocks. What fails is told and holds nothing else back.
  ///
  /// - Parameters:
  ///   - networks: the cluster's, one of each family.
  ///   - nodes: the nodes' own addresses.
  package func reconcile(networks: [IPPrefix], nodes: [IPAddress]) -> RulesReport {
    var report = RulesReport()
    let ruleset = ruleset(networks, nodes)
    let needsNone = ruleset.isEmpty && !switches.takesOverFlannel
    report.attempt(needsNone: needsNone) { (report) throws(RulesError) in
      var netfilter = try RulesReconciler.open()
      if let verb = try table.ensure(ruleset, &netfilter) {
        report.changes.append(RuleChange(verb: verb, subject: "\(NodeTable.name)"))
      }
      report.table = ruleset.isEmpty ? .off : .installed
    }
    report.attempt(needsNone: needsNone) { (report) throws(RulesError) in
      var netfilter = try RulesReconciler.open()
      let flannel = try FlannelRules(&netfilter)
      try ensureForwarding(networks, flannel, &netfilter, &report)
      // What is there of flannel's goes when ours is in.
      try takeOver(flannel, networks, &netfilter, &report)
    }
    report.warnings += legacyWarnings(networks)
    return report
  }

  /// What a pass would find, touching nothing.
  package func inspect(networks: [IPPrefix], nodes: [IPAddress]) -> RulesReport {
    var report = RulesReport()
    let ruleset = ruleset(networks, nodes)
    report.attempt(needsNone: ruleset.isEmpty) { (report) throws(RulesError) in
      var netfilter = try RulesReconciler.open()
      report.table = try state(ruleset, &netfilter)
      let path = try ForwardPath(&netfilter)
      if switches.forwards { report.problems += ForwardDrop.problems(path.drops(of: networks)) }
      report.warnings += try FlannelRules(&netfilter).pieces.map(leftover)
    }
    report.warnings += legacyWarnings(networks)
    // Whoever may not look at nf_tables may look at all the rest.
    if report.mayNotLook { report.problems = [] }
    return report
  }

  private func state(_ ruleset: Ruleset, _ netfilter: inout NetfilterSocket) throws(RulesError) -> RulesReport.Table {
    if ruleset.isEmpty {
      let isThere = try netfilter.asking { (socket) throws(NetlinkError) in try socket.contains(NodeTable.name) }
      return isThere ? .changed : .off
    }
    return switch try table.find(ruleset, &netfilter) {
    case .asWanted: .installed
    case .absent, .damaged(isThere: false): .missing
    case .other, .otherNodes, .damaged(isThere: true): .changed
    }
  }

  /// Removes all that is ours; says what that was.
  package func clean() throws(RulesError) -> [RuleChange] {
    var netfilter = try RulesReconciler.open()
    var changes: [RuleChange] = []
    if try table.remove(&netfilter) { changes.append(RuleChange(verb: .removed, subject: "\(NodeTable.name)")) }
    let accepts = try netfilter.asking { (socket) throws(NetlinkError) in
      let accepts = try socket.rules(commented: AcceptPlan.comment)
      if !accepts.isEmpty { try socket.commit(accepts.map { .removeRule($0) }) }
      return accepts
    }
    return changes
      + Set(accepts.map { "\($0.chain)" }).sorted().map { RuleChange(verb: .acceptRemoved, subject: $0) }
  }

  private static func open() throws(RulesError) -> NetfilterSocket {
    do throws(NetlinkError) { return try NetfilterSocket() } catch { throw .netlink(error) }
  }
}

// MARK: Chains of others

extension RulesReconciler {
  private func ensureForwarding(
    _ networks: [IPPrefix], _ flannel: FlannelRules, _ netfilter: inout NetfilterSocket,
    _ report: inout RulesReport
  ) throws(RulesError) {
    let inserts = switches.forwards && switches.insertsAccept
    let plan = AcceptPlan(
      try ForwardPath(&netfilter), networks: networks, inserts: inserts,
      going: inserts && switches.takesOverFlannel ? flannel.jumps : [])
    if switches.forwards && !inserts { report.problems += ForwardDrop.problems(plan.drops) }
    guard !plan.requests.isEmpty else { return }
    do throws(RulesError) {
      try netfilter.asking { (socket) throws(NetlinkError) in _ = try socket.commit(plan.requests) }
    } catch {
      if inserts { report.problems += ForwardDrop.problems(plan.drops) }
      throw error
    }
    report.changes += plan.changes
  }

  /// Removes of flannel's what ours stands for now, and tells of the rest.
  private func takeOver(
    _ flannel: FlannelRules, _ networks: [IPPrefix], _ netfilter: inout NetfilterSocket,
    _ report: inout RulesReport
  ) throws(RulesError) {
    guard switches.takesOverFlannel, !flannel.pieces.isEmpty else {
      report.warnings += flannel.pieces.map(leftover)
      return
    }
    let path = try ForwardPath(&netfilter)
    let drops = path.drops(of: networks)
    for piece in flannel.pieces {
      let helps = !path.drops(of: networks) { piece.jumps.contains($0) }.allSatisfy(drops.contains)
      if piece.masquerades && switches.masquerade == nil {
        report.warnings.append("flannel's \(piece.name) stays, since pods may need it: --ip-masq takes its place")
      } else if helps {
        report.warnings.append(
          "flannel's \(piece.name) stays, since pods' packets are dropped without it: --forward-insert takes its place")
      } else {
        try netfilter.asking { (socket) throws(NetlinkError) in _ = try socket.commit(piece.removal) }
        report.changes.append(RuleChange(verb: .takenOver, subject: piece.name))
      }
    }
  }

  private func leftover(_ piece: FlannelRules.Piece) -> String {
    "flannel left the \(piece.name): --take-over-flannel removes it"
  }

  /// The kernel's old packet filter is seen by its tables' names only.
  private func legacyWarnings(_ networks: [IPPrefix]) -> [String] {
    networks.flatMap { network in
      var warnings: [String] = []
      if switches.forwards, let program = LegacyTables.program(withTable: "filter", network.family) {
        warnings.append(
          "\(program) has a filter table, which cannot be looked into from here: where \(program) -S FORWARD shows a "
            + "policy of DROP, accept \(network) there as source and as destination")
      }
      if switches.takesOverFlannel, let program = LegacyTables.program(withTable: "nat", network.family) {
        warnings.append(
          "\(program) has a nat table, which cannot be looked into from here: where \(program) -t nat -S shows "
            + "FLANNEL-POSTRTG, remove that chain and the rules that lead to it")
      }
      return warnings
    }
  }
}

extension RulesReport {
  /// Does what it can; a failure is a problem.
  ///
  /// - Parameter needsNone: whether a kernel without nf_tables serves as well.
  fileprivate mutating func attempt(needsNone: Bool, _ body: (inout RulesReport) throws(RulesError) -> Void) {
    do throws(RulesError) {
      try body(&self)
    } catch {
      if needsNone && error.isForWantOfTables {
        table = .off
        return
      }
      hasFailed = true
      mayNotLook = error.isForbidden
      // Both halves of a look may fail for one reason.
      if !problems.contains("\(error)") { problems.append("\(error)") }
    }
  }
}
