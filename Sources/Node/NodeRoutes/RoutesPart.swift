internal import Backends
package import JSON
internal import Linux
internal import Netlink
internal import Nodes
package import OwnNode
package import Parts

/// The node's routes, with the devices that they need, as a part of the agent.
package struct RoutesPart: NodePart {
  private let reconciler: Reconciler

  /// Time between searches for flannel's leftovers, which are harmless meanwhile.
  private static let searchInterval = Duration.seconds(10)

  package init(selection: NodeSelection, switches: RouteSwitches) {
    reconciler = Reconciler(selection: selection, switches: switches)
  }

  /// Name of the part.
  package static let name = "routes"

  package var name: String { RoutesPart.name }
  package var stage: Stage { .routes }
  package var triggers: Set<Trigger> { [.nodes, .links] }
  package var repairsKey: String? { "repairs" }

  /// Changed nodes are followed at once. Pods that come and go bring notifications without end: in a large cluster the
  /// passes for them could take half a core's time.
  package var pacing: Pacing {
    Pacing(
      others: .init(burst: .milliseconds(3)) { pass in
        pass.hasChanges ? .zero : min(pass.duration, .milliseconds(40))
      })
  }

  package var feeds: [Feed] {
    [
      Feed(.links) { fire in
        var events = try RouteEvents(tunnelsMarked: TunnelDevice.mark)
        while fire() { _ = try events.waitForChange(atMost: .seconds(30), but: Reconciler.port) }
      }
    ]
  }

  /// Makes a pass. If only nodes have changed, it checks only their routes.
  package func reconcile(_ view: NodeView, since previous: Reconciler.Report?) throws -> Reconciler.Report {
    let nodes = try view.nodes
    guard let previous else { return try reconciler.reconcile(nodes) }
    var report: Reconciler.Report
    if view.triggers == [.nodes] {
      report = try reconciler.follow(nodes, since: previous)
    } else {
      report = try reconciler.reconcile(
        nodes, since: previous,
        searchesLeftovers: MonotonicTime.now - previous.lastSearch >= RoutesPart.searchInterval)
    }
    // Newer nodes may have come while a pass for another reason began.
    report.isRepair =
      !view.triggers.contains(.nodes) && (report.changes.isEmpty || previous.basis.snapshot == nodes)
    return report
  }

  /// Which of the nodes this one is depends on the nodes and on the links, and both have triggers.
  package func isRetried(after error: any Error) -> Bool { !(error is LocalNodeError) }

  package func inspect(_ view: NodeView, since previous: Reconciler.Report?) throws -> Reconciler.Report? {
    try reconciler.inspect(view.nodes)
  }

  package func clean() throws -> [Change] {
    let removed = try reconciler.clean()
    return removed.devices.map { Change("device removed", [.init(.device, $0)]) }
      + [Change("routes removed", [.init("count", "\(removed.routes)")])]
  }

  package func verify(_ report: Reconciler.Report) throws {
    if !report.isSettled { throw NotSettled() }
  }

  package func metrics(_ report: Reconciler.Report?, _ tally: PartTally) -> [Metric] {
    [
      Metric(
        .counter, "causeway_repairs_total", "Routes that were put right without the nodes having changed.",
        Double(tally.repairs)),
      Metric("causeway_reconcile_duration_seconds", "How long a pass took.", tally.durations),
      Metric(
        .counter, "causeway_reconcile_failures_total", "Passes that failed as a whole.", Double(tally.failedPasses)),
    ] + (report?.metrics ?? [])
  }

  package func json(_ report: Reconciler.Report?, _ tally: PartTally) -> JSONObject {
    [
      "node": report.map { .string($0.own.node.name) } ?? .null,
      "backend": report.map { .string($0.backend) } ?? .null,
      "peers": .array(report?.peers.map(\.json) ?? []),
    ]
  }

  package func lines(_ status: JSONObject, _ paint: StatusPaint) -> [String] {
    status["backend"]?.string.map { ["Backend: \($0)"] } ?? []
  }

  package func lines(_ report: Reconciler.Report) -> [String] { report.lines }
}
