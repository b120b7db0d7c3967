internal import KubernetesStore
internal import Linux
internal import Nodes
internal import ServiceLifecycle

/// Tells a store that wants to know whether this node's network is up. What is wrong for a moment only is not told: a
/// node without network gets no pods.
struct NetworkReporter: Service {
  let state: AgentState
  let report: @Sendable (NetworkReport) -> Void

  /// How long something must be wrong.
  private static let patience = Duration.seconds(10)

  func run() async throws {
    let (wakeUps, wakeUp) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    state.listen { wakeUp.yield() }
    var since: Duration?
    var timer: Task<Void, any Error>?
    defer { timer?.cancel() }
    for await _ in wakeUps.cancelOnGracefulShutdown() {
      timer?.cancel()
      let facts = state.now
      guard let problem = facts.networkProblem else {
        since = nil
        // A store that can't be read hides what is wrong: nothing is told until it can.
        if facts.obstacles.isEmpty, facts.store?.isConnected != false { report(.isUp) }
        continue
      }
      let start = since ?? MonotonicTime.now
      since = start
      let left = start + NetworkReporter.patience - MonotonicTime.now
      guard left > .zero else {
        report(.isDown(problem))
        continue
      }
      timer = Task {
        try await Task.sleep(for: left)
        wakeUp.yield()
      }
    }
  }
}
