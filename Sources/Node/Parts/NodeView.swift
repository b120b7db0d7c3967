package import Nodes

/// Input of a pass.
package struct NodeView: Sendable {
  private let known: NodeSnapshot?
  /// Reasons for the pass.
  package let triggers: Set<Trigger>
  /// The last reports of the other parts.
  private let reports: [any PartReport]
  /// The first finding of earlier stages, of those before the lease, that keeps pods from being served.
  package let obstacle: Finding?

  package init(
    nodes: NodeSnapshot?, triggers: Set<Trigger> = [.time], reports: [any PartReport] = [], obstacle: Finding? = nil
  ) {
    known = nodes
    self.triggers = triggers
    self.reports = reports
    self.obstacle = obstacle
  }

  /// The nodes, and the network that they share. They are known, except for a part that starts at once.
  package var nodes: NodeSnapshot {
    get throws {
      guard let known else { throw ViewError.noNodes }
      return known
    }
  }

  /// The last report of a part of an earlier stage.
  package func report<Report: PartReport>(_: Report.Type = Report.self) throws -> Report {
    for case let report as Report in reports { return report }
    throw ViewError.noReport("\(Report.self)")
  }
}

/// Errors of a view that lacks what a part asks for.
package enum ViewError: Error, Sendable, Equatable, CustomStringConvertible {
  case noNodes
  case noReport(String)

  package var description: String {
    switch self {
    case .noNodes: "the nodes are not known yet"
    case .noReport(let name): "no part has made a \(name) yet"
    }
  }
}
