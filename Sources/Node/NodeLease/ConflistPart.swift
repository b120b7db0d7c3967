internal import Linux
package import Parts

/// Result of the last pass over the runtime's network configuration.
package struct ConflistReport: PartReport {
  /// Changes that the pass made.
  package let actions: [Change]
  /// Findings of the pass.
  package let findings: [Finding]

  package init(actions: [Change] = [], findings: [Finding] = []) {
    self.actions = actions
    self.findings = findings
  }
}

/// The runtime's network configuration as a part of the agent.
///
/// It is placed last, once rules and routes are in and the lease is written, also while a store that gives leases does not
/// answer. What was in place before stays.
package struct ConflistPart: NodePart {
  private let file: NetworkConfigurationFile

  package init(source: String, destination: String) {
    file = NetworkConfigurationFile(source: source, destination: destination)
  }

  package var name: String { "conflist" }
  package var stage: Stage { .conflist }
  package var triggers: Set<Trigger> { [.earlierPart, .store] }
  package var pacing: Pacing { .fileCheck }
  package var isAgentOnly: Bool { true }

  package func reconcile(_ view: NodeView, since previous: ConflistReport?) throws -> ConflistReport {
    guard view.obstacle == nil, try view.report(LeaseReport.self).lease != nil else {
      return ConflistReport(findings: findings(previous))
    }
    do throws(SystemError) {
      let placed = Change("network configuration put in place", [.init("file", file.destination)])
      return ConflistReport(actions: try file.place() ? [placed] : [])
    } catch {
      return ConflistReport(findings: [
        Finding(
          "CW-CNI-02", .fault, "\(error)", remedy: "Correct --cni-conf-source or --cni-conf-file.",
          keepsPodsFromBeingServed: true)
      ])
    }
  }

  package func clean() throws -> [Change] {
    try file.remove() ? [Change("removed", [.init("file", file.destination)])] : []
  }

  package func findings(_ report: ConflistReport?) -> [Finding] {
    if let report { return report.findings }
    return [
      Finding(
        "CW-CNI-01", .waiting, "the network configuration is not in its place yet",
        remedy: "Wait until rules, routes and lease are in place.", keepsPodsFromBeingServed: true)
    ]
  }
}
