internal import Linux
internal import NodeRules
internal import Nodes
internal import ServiceLifecycle

/// Looks at the node's rules whenever somebody may have touched them, and now and then while nodes come and go.
struct RulesKeeper: Service {
  let rules: RulesReconciler
  let news: News
  let log: PassLog
  let state: AgentState
  /// Who waits for the first look.
  let routes: News

  /// How long the rest of a burst of notifications may take.
  private static let burst = Duration.milliseconds(3)

  func run() async throws {
    var snapshot: NodeSnapshot?
    var looks = RulesLooks()
    var previous: RulesReport?
    var reminder: Task<Void, any Error>?
    for await _ in news.wakeUps.cancelOnGracefulShutdown() {
      try await Task.sleep(for: RulesKeeper.burst)
      let fresh = news.take()
      if let nodes = fresh.nodes {
        snapshot = nodes
        looks.nodesHaveChanged()
      }
      snapshot = snapshot ?? fresh.lastKnown
      if fresh.kernelMayDiffer { looks.kernelMayDiffer() }
      guard let snapshot else { continue }
      if looks.wait(at: MonotonicTime.now) == .zero {
        let report = try await look(snapshot)
        looks.end(hasFailed: report.hasFailed, at: MonotonicTime.now)
        state.note(report)
        log.tell(report, previous: previous)
        // The first time they can begin, and once the rules are in at last the node is ready.
        if previous?.hasFailed != report.hasFailed { routes.remind() }
        previous = report
      }
      reminder?.cancel()
      reminder = looks.wait(at: MonotonicTime.now).map { pause in
        Task {
          try await Task.sleep(for: pause)
          news.remind()
        }
      }
    }
  }

  private func look(_ snapshot: NodeSnapshot) async throws -> RulesReport {
    try await onThread { rules.reconcile(snapshot) }
  }
}
