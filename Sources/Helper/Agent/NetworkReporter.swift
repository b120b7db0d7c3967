internal import KubernetesStore
internal import Linux
internal import Nodes
internal import ServiceLifecycle

/// Reports to a store that wants to know whether this node's network is up. A problem of a moment is not reported: a
/// node without network gets no pods.
struct NetworkReporter: Service {
  let state: AgentState
  let report: @Sendable (NetworkReport) -> Void

  /// Time that a problem must last before it is reported.
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
        // A store that cannot be read hides what is wrong: nothing is reported until it can.
        if facts.obstacle == nil, facts.store?.isConnected != false { report(.isUp) }
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
