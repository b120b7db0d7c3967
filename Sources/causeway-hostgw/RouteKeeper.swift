internal import Linux
internal import Logging
internal import NodeRoutes
internal import NodeRules
internal import ServiceLifecycle

/// Makes a pass whenever there is news.
struct RouteKeeper: Service {
  let agent: NodeAgent
  let news: News

  /// How long the rest of a burst of notifications may take; one look then sees all of it.
  private static let burst = Duration.milliseconds(3)
  /// The longest rest after a pass that found nothing to do.
  private static let longestRest = Duration.milliseconds(40)
  /// How soon a pass that failed as a whole is tried again.
  private static let retry = Duration.milliseconds(500)

  func run() async throws {
    var snapshot: NodeSnapshot?
    var previous: Reconciler.Report?
    var failure: String?
    var retry: Task<Void, any Error>?
    var rules = RulesLooks()
    for await _ in news.wakeUps.cancelOnGracefulShutdown() {
      try await Task.sleep(for: RouteKeeper.burst)
      switch news.take() {
      case .success(let nodes):
        snapshot = nodes
        rules.isDue = true
      case .failure(let error): agent.log.logger.error("the nodes can't be read, so all stays as it is: \(error)")
      case nil: break
      }
      if news.takeRules() { rules.isDue = true }
      guard let snapshot else { continue }
      // This pass is the retry; two at a time would each call for the next.
      retry?.cancel()
      let start = MonotonicTime.now
      do {
        let looksAtRules = rules.mayLook
        let report = try await pass(snapshot, since: looksAtRules ? nil : previous)
        if looksAtRules, let pause = rules.end(hasFailed: report.rules.hasFailed) {
          _ = lookAgain(after: pause)
        }
        agent.log.tell(report, previous: previous)
        previous = report
        failure = nil
        // Pods that come and go bring notifications without end: in a large cluster they may take half a core's time.
        if report.changes.isEmpty && report.rules.changes.isEmpty {
          try await Task.sleep(for: min(MonotonicTime.now - start, RouteKeeper.longestRest))
        }
      } catch {
        if failure != "\(error)" { agent.log.logger.error("\(error)") }
        failure = "\(error)"
        retry = lookAgain(after: RouteKeeper.retry)
      }
    }
  }

  private func lookAgain(after pause: Duration) -> Task<Void, any Error> {
    Task { [news] in
      try await Task.sleep(for: pause)
      news.look()
    }
  }

  /// A pass waits for the kernel: it gets a thread of its own.
  private func pass(_ snapshot: NodeSnapshot, since known: Reconciler.Report?) async throws -> Reconciler.Report {
    try await withCheckedThrowingContinuation { continuation in
      do {
        let reconciler = agent.reconciler
        try startThread { continuation.resume(with: Result { try reconciler.reconcile(snapshot, since: known) }) }
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }
}
