internal import Linux
internal import Logging
internal import NodeRoutes
internal import ServiceLifecycle

/// Makes a pass whenever there is news.
struct RouteKeeper: Service {
  let agent: NodeAgent
  let news: News

  func run() async throws {
    var snapshot: NodeSnapshot?
    var peers: [PeerRoute] = []
    var trouble: String?
    for await _ in news.wakeUps.cancelOnGracefulShutdown() {
      // A burst of notifications is one change: the rest of it comes within this time.
      try await Task.sleep(for: .milliseconds(3))
      do {
        // Nodes that can't be read leave everything as it is.
        if let nodes = news.take() { snapshot = try nodes.get() }
        guard let snapshot else { continue }
        let report = try await pass(snapshot)
        agent.log.tell(report, previous: peers)
        peers = report.peers
        trouble = nil
      } catch {
        if trouble != "\(error)" { agent.log.logger.error("\(error)") }
        trouble = "\(error)"
      }
    }
  }

  /// A pass waits for the kernel: it gets a thread of its own.
  private func pass(_ snapshot: NodeSnapshot) async throws -> Reconciler.Report {
    try await withCheckedThrowingContinuation { continuation in
      do {
        let reconciler = agent.reconciler
        try startThread { continuation.resume(with: Result { try reconciler.reconcile(snapshot) }) }
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }
}
