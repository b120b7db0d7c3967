internal import NodeFastPath
internal import Nodes
internal import ServiceLifecycle

/// Takes away what an agent before this one has left of the fast path; again and again while something stays.
struct FastPathRemover: Service {
  let agent: NodeAgent
  let state: AgentState

  private static let pause = Duration.seconds(30)

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      var previous: FastPathReport?
      repeat {
        let found = try await onThread { [agent] in agent.fastPath.reconcile(own: [], peers: []) { _ in [] } }
        agent.log.tell(found, previous: previous)
        state.note(found.leavesBehind ? found : nil)
        guard found.leavesBehind else { break }
        previous = found
        try? await Task.sleep(for: FastPathRemover.pause)
      } while !Task.isCancelled
    }
    // A service that ends, ends all.
    try await gracefulShutdown()
  }
}
