internal import Linux
internal import Logging
internal import NodeRoutes
internal import Nodes
internal import OwnNode
internal import ServiceLifecycle

/// Makes a pass whenever there is news.
struct RouteKeeper: Service {
  let agent: NodeAgent
  let news: News
  let state: AgentState

  func run() async throws {
    var passes = RoutePasses(agent: agent, news: news, state: state)
    for await _ in news.wakeUps.cancelOnGracefulShutdown() { try await passes.next() }
  }
}

/// One pass after the other over the nodes that are known, each built on the one before.
private struct RoutePasses {
  let agent: NodeAgent
  let news: News
  let state: AgentState

  private var snapshot: NodeSnapshot?
  /// Whether there were others when the last pass came to its end.
  private var hasNewNodes = false
  /// The last pass that came to its end.
  private var previous: Reconciler.Report?
  /// Whether somebody may have changed the kernel since.
  private var kernelMayDiffer = true
  /// Until when to look at the kernel no more.
  private var rest = Duration.zero
  private var lastSearch: Duration?
  private var failure: String?
  private var unreadable: String?
  private var pauses = RetryPauses()
  private var reminder: Task<Void, any Error>?

  /// How long the rest of a burst of notifications may take; one look then sees all of it.
  private static let burst = Duration.milliseconds(3)
  /// The longest rest after a look that found nothing to do.
  private static let longestRest = Duration.milliseconds(40)
  /// What flannel left harms nobody who waits for so long.
  private static let searchInterval = Duration.seconds(10)

  init(agent: NodeAgent, news: News, state: AgentState) {
    self.agent = agent
    self.news = news
    self.state = state
  }

  mutating func next() async throws {
    let fresh = news.take()
    takeOver(fresh)
    kernelMayDiffer = kernelMayDiffer || fresh.kernelMayDiffer
    // Rules come before routes; the keeper of the rules says when they are in.
    guard let snapshot, state.now.rules != nil else { return }
    let looks = kernelMayDiffer && MonotonicTime.now >= rest
    guard looks || hasNewNodes else {
      if kernelMayDiffer { remind(after: rest - MonotonicTime.now) }
      placeNetworkConfiguration()
      return
    }
    if looks { try await Task.sleep(for: RoutePasses.burst) }
    let start = MonotonicTime.now
    do {
      let report = try await pass(snapshot, looks: looks)
      let end = MonotonicTime.now
      state.note(report, snapshot, isRepair: !hasNewNodes, took: end - start)
      placeNetworkConfiguration()
      agent.log.tell(report, previous: previous)
      previous = report
      hasNewNodes = false
      failure = nil
      pauses = RetryPauses()
      // Pods that come and go bring notifications without end: in a large cluster they may take half a core's time.
      if looks && report.changes.isEmpty { rest = end + min(end - start, RoutePasses.longestRest) }
      if kernelMayDiffer { remind(after: rest - end) }
    } catch {
      state.note(failure: "\(error)", took: MonotonicTime.now - start)
      if failure != "\(error)" { agent.log.logger.error("\(error)") }
      failure = "\(error)"
      kernelMayDiffer = true
      rest = .zero
      // Who this node is hangs on the nodes and on the kernel's links, and both tell of every change.
      if !(error is LocalNodeError) { remind(after: pauses.next()) }
    }
  }

  private mutating func takeOver(_ fresh: News.Content) {
    if let nodes = fresh.nodes {
      if unreadable != nil { agent.log.logger.info("the nodes can be read again") }
      (snapshot, unreadable) = (nodes, nil)
      hasNewNodes = true
    }
    if let error = fresh.failure {
      if unreadable != "\(error)" {
        agent.log.logger.error("the nodes can't be read, so all stays as it is: \(error)")
      }
      unreadable = "\(error)"
    }
    if snapshot == nil, let lastKnown = fresh.lastKnown {
      snapshot = lastKnown
      hasNewNodes = true
    }
  }

  /// - Parameter looks: whether the kernel is to be looked at; else it is taken to be as the last pass left it, which
  ///   shows where it isn't.
  private mutating func pass(_ snapshot: NodeSnapshot, looks: Bool) async throws -> Reconciler.Report {
    let (reconciler, known) = (agent.reconciler, previous)
    if let known, !looks {
      return try await onThread { try reconciler.follow(snapshot, since: known) }
    }
    let searches = lastSearch.map { MonotonicTime.now - $0 >= RoutePasses.searchInterval } ?? true
    // What changes from here on is looked at the next time.
    kernelMayDiffer = false
    let report = try await onThread {
      try reconciler.reconcile(snapshot, since: known, searchesLeftovers: searches)
    }
    if searches { lastSearch = MonotonicTime.now }
    return report
  }

  /// The last step of each pass, and then the node is ready. Without its rules, or without lease, it serves no pods; what
  /// was in place before stays.
  private func placeNetworkConfiguration() {
    guard let file = agent.networkConfiguration, state.now.report?.lease != nil, state.now.wereRulesIn else { return }
    do throws(SystemError) {
      if try file.place() {
        agent.log.logger.info("network configuration put in place", metadata: ["file": "\(file.destination)"])
      }
      state.note(configurationObstacle: nil)
    } catch {
      if state.now.configurationObstacle != "\(error)" { agent.log.logger.error("\(error)") }
      state.note(configurationObstacle: "\(error)")
    }
  }

  private mutating func remind(after pause: Duration) {
    reminder?.cancel()
    reminder = Task { [news] in
      try await Task.sleep(for: pause)
      news.remind()
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
