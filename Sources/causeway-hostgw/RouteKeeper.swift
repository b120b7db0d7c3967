internal import Linux
internal import Logging
internal import NodeRoutes
internal import NodeRules
internal import ServiceLifecycle

/// Makes a pass whenever there is news.
struct RouteKeeper: Service {
  let agent: NodeAgent
  let news: News
  let state: AgentState

  /// How long the rest of a burst of notifications may take; one look then sees all of it.
  private static let burst = Duration.milliseconds(3)
  /// The longest rest after a pass that found nothing to do.
  private static let longestRest = Duration.milliseconds(40)

  func run() async throws {
    var snapshot: NodeSnapshot?
    var previous: Reconciler.Report?
    var failure: String?
    var unreadable: String?
    var retry: Task<Void, any Error>?
    var pauses = RetryPauses()
    var rules = RulesLooks()
    for await _ in news.wakeUps.cancelOnGracefulShutdown() {
      try await Task.sleep(for: RouteKeeper.burst)
      switch news.take() {
      case .success(let nodes):
        if unreadable != nil { agent.log.logger.info("the nodes can be read again") }
        (snapshot, unreadable) = (nodes, nil)
        rules.isDue = true
      case .failure(let error):
        if unreadable != "\(error)" {
          agent.log.logger.error("the nodes can't be read, so all stays as it is: \(error)")
        }
        unreadable = "\(error)"
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
        state.note(report, snapshot, took: MonotonicTime.now - start)
        placeNetworkConfiguration()
        agent.log.tell(report, previous: previous)
        previous = report
        failure = nil
        pauses = RetryPauses()
        // Pods that come and go bring notifications without end: in a large cluster they may take half a core's time.
        if report.changes.isEmpty && report.rules.changes.isEmpty {
          try await Task.sleep(for: min(MonotonicTime.now - start, RouteKeeper.longestRest))
        }
      } catch {
        state.note(failure: "\(error)", took: MonotonicTime.now - start)
        if failure != "\(error)" { agent.log.logger.error("\(error)") }
        failure = "\(error)"
        // Who this node is hangs on the nodes and on the kernel's links, and both tell of every change.
        if !(error is OwnNodeError) { retry = lookAgain(after: pauses.next()) }
      }
    }
  }

  private func pass(_ snapshot: NodeSnapshot, since known: Reconciler.Report?) async throws -> Reconciler.Report {
    let reconciler = agent.reconciler
    return try await onThread { try reconciler.reconcile(snapshot, since: known) }
  }

  /// The last step of each pass.
  private func placeNetworkConfiguration() {
    guard let file = agent.networkConfiguration else { return }
    do throws(SystemError) {
      if try file.place() {
        agent.log.logger.info("network configuration put in place", metadata: ["file": "\(file.destination)"])
      }
      state.note(configurationFailure: nil)
    } catch {
      if state.now.configurationFailure != "\(error)" { agent.log.logger.error("\(error)") }
      state.note(configurationFailure: "\(error)")
    }
  }

  private func lookAgain(after pause: Duration) -> Task<Void, any Error> {
    Task { [news] in
      try await Task.sleep(for: pause)
      news.look()
    }
  }
}

/// How soon a pass that failed as a whole is tried again: each time twice as late, up to the usual look.
struct RetryPauses {
  private var pause = Duration.milliseconds(500)

  mutating func next() -> Duration {
    defer { pause = min(pause * 2, .seconds(30)) }
    return pause
  }
}
