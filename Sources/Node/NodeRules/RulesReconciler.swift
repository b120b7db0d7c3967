package import Addresses
internal import Glibc
package import Netfilter
internal import Netlink
internal import Parts

/// Keeps the node's rules: the helper's own table, the accepts in chains of others, and what flannel left.
///
/// The kernel's rules are the only state; each pass reads them anew.
package struct RulesReconciler: Sendable {
  private let switches: RuleSwitches
  private let table: NodeTable

  /// The helper's own table.
  package static let tableName = NodeTable.name
  /// The comment of each of the helper's rules in chains of others.
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

  /// One pass in the calling thread's network namespace; it blocks. A step that fails becomes a finding and does not
  /// keep the other steps from being made.
  ///
  /// - Parameters:
  ///   - networks: the cluster's networks, at most one of each family.
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
      // Flannel's rules are removed once ours are in.
      try takeOver(flannel, networks, &netfilter, &report)
    }
    report.findings += legacyTables(networks)
    return report
  }

  /// Returns what a pass would find. It changes nothing.
  package func inspect(networks: [IPPrefix], nodes: [IPAddress]) -> RulesReport {
    var report = RulesReport()
    let ruleset = ruleset(networks, nodes)
    report.attempt(needsNone: ruleset.isEmpty) { (report) throws(RulesError) in
      var netfilter = try RulesReconciler.open()
      report.table = try state(ruleset, &netfilter)
      let path = try ForwardPath(&netfilter)
      if switches.forwards { report.findings += ForwardDrop.findings(path.drops(of: networks)) }
      report.findings += try FlannelRules(&netfilter).pieces.map(leftover)
    }
    report.findings += legacyTables(networks)
    // A user without CAP_NET_ADMIN can read everything else.
    if report.mayNotLook { report.findings.removeAll { $0.severity == .fault } }
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

  /// Removes all rules of the helper, and returns what that was.
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
    if switches.forwards && !inserts { report.findings += ForwardDrop.findings(plan.drops) }
    guard !plan.requests.isEmpty else { return }
    do throws(RulesError) {
      try netfilter.asking { (socket) throws(NetlinkError) in _ = try socket.commit(plan.requests) }
    } catch {
      if inserts { report.findings += ForwardDrop.findings(plan.drops) }
      throw error
    }
    report.changes += plan.changes
  }

  /// Removes those of flannel's rules that ours replace, and reports the others.
  private func takeOver(
    _ flannel: FlannelRules, _ networks: [IPPrefix], _ netfilter: inout NetfilterSocket,
    _ report: inout RulesReport
  ) throws(RulesError) {
    guard switches.takesOverFlannel, !flannel.pieces.isEmpty else {
      report.findings += flannel.pieces.map(leftover)
      return
    }
    let path = try ForwardPath(&netfilter)
    let drops = path.drops(of: networks)
    for piece in flannel.pieces {
      let helps = !path.drops(of: networks) { piece.jumps.contains($0) }.allSatisfy(drops.contains)
      if piece.masquerades && switches.masquerade == nil {
        report.findings.append(
          .flannelRulesStay(
            "flannel's \(piece.name) stays, since pods may need it: --ip-masq takes its place", option: "--ip-masq"))
      } else if helps {
        report.findings.append(
          .flannelRulesStay(
            "flannel's \(piece.name) stays, since pods' packets are dropped without it: --forward-insert takes its place",
            option: "--forward-insert"))
      } else {
        try netfilter.asking { (socket) throws(NetlinkError) in _ = try socket.commit(piece.removal) }
        report.changes.append(RuleChange(verb: .takenOver, subject: piece.name))
      }
    }
  }

  private func leftover(_ piece: FlannelRules.Piece) -> Finding {
    .flannelRulesLeft("flannel left the \(piece.name): --take-over-flannel removes it")
  }

  /// Reports tables of the kernel's older packet filter, of which only the names can be read.
  private func legacyTables(_ networks: [IPPrefix]) -> [Finding] {
    networks.flatMap { network in
      var found: [Finding] = []
      if switches.forwards, let program = LegacyTables.program(withTable: "filter", network.family) {
        found.append(
          .legacyTable(
            "\(program) has a filter table, which cannot be looked into from here: where \(program) -S FORWARD shows a "
              + "policy of DROP, accept \(network) there as source and as destination"))
      }
      if switches.takesOverFlannel, let program = LegacyTables.program(withTable: "nat", network.family) {
        found.append(
          .legacyTable(
            "\(program) has a nat table, which cannot be looked into from here: where \(program) -t nat -S shows "
              + "FLANNEL-POSTRTG, remove that chain and the rules that lead to it"))
      }
      return found
    }
  }
}

extension RulesReport {
  /// Makes a step; an error becomes a finding.
  ///
  /// - Parameter needsNone: whether a kernel without nf_tables will do.
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
      // Both steps may fail for one reason.
      if !problems.contains("\(error)") { findings.append(.rulesRefused("\(error)")) }
    }
  }
}
