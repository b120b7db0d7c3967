internal import Nodes
internal import NodeState
package import Parts

/// Outcome of a single pass.
package struct SinglePass {
  /// One line for each node, then what is wrong.
  package let lines: [String]
  /// Reason why not all is as the options ask for; `nil` if it is.
  package let failure: (any Error)?
}

extension NodeAgent {
  /// Makes one pass of each part, in the order of their stages, when no agent runs and no other single pass.
  package func makePass() async throws -> SinglePass {
    try await AgentLock.taking(turnIn: settings.files.stateDirectory) {
      let nodes = try await store.read()
      var reports: [any PartReport] = []
      var lines: [String] = []
      var findings: [Finding] = []
      var failures: [any Error] = []
      for part in settings.parts.inStageOrder where !part.isAgentOnly {
        let pass = try part.makePass(NodeView(nodes: nodes, reports: reports))
        log.write(pass.report.actions)
        log.write(pass.report.findings)
        reports.append(pass.report)
        lines += pass.lines
        if let failure = pass.failure { failures.append(failure) }
        if part.stage < .extras { findings += pass.report.findings }
      }
      return SinglePass(
        lines: lines + findings.faults + findings.warnings,
        failure: failures.first { !($0 is NotSettled) } ?? failures.first)
    }
  }

  /// Removes what the parts have made, in the reverse order of their stages. A part that fails does not keep the others
  /// from being removed.
  ///
  /// - Parameter show: called with each change.
  package func clean(_ show: (Change) -> Void) throws {
    var failure: (any Error)?
    for part in settings.parts.inStageOrder.reversed() {
      do {
        for change in try part.clean() { show(change) }
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }
}

extension NodePart {
  /// One pass with its output.
  fileprivate func makePass(
    _ view: NodeView
  ) throws -> (report: any PartReport, lines: [String], failure: (any Error)?) {
    let report = try reconcile(view, since: nil)
    do {
      try verify(report)
    } catch {
      return (report, lines(report), error)
    }
    return (report, lines(report), nil)
  }
}
