internal import Addresses
internal import FastPath
internal import Linux
internal import Netlink
internal import NodeFastPath
internal import NodeRoutes
internal import Nodes
internal import OwnNode
internal import ServiceLifecycle

/// Looks after the fast path whenever routes, links, filters or pods may have changed.
struct FastPathKeeper: Service {
  let agent: NodeAgent
  let news: News
  let state: AgentState

  /// How long the rest of a burst of notifications may take.
  private static let burst = Duration.milliseconds(5)
  /// Pods that come and go bring notifications without end; a look may take a fifth of the time.
  private static func rest(after look: Duration) -> Duration { min(look * 4, .seconds(2)) }

  func run() async throws {
    var previous: FastPathReport?
    var reminder: Task<Void, any Error>?
    defer { reminder?.cancel() }
    for await _ in news.wakeUps.cancelOnGracefulShutdown() {
      try await Task.sleep(for: FastPathKeeper.burst)
      _ = news.take()
      // What routes there are comes first.
      guard let report = state.now.report else { continue }
      let start = MonotonicTime.now
      let agent = agent
      let found = try await onThread { agent.keepFastPath(report) }
      state.note(found)
      agent.log.tell(found, previous: previous)
      previous = found
      reminder?.cancel()
      reminder = found.wait.map { wait in
        Task { [news] in
          try await Task.sleep(for: wait)
          news.remind()
        }
      }
      try await Task.sleep(for: FastPathKeeper.rest(after: MonotonicTime.now - start))
    }
  }
}

/// Says when somebody else changes links, qdiscs or filters.
struct FiltersFollower: Service {
  let news: News

  func run() async throws {
    let changes = try AsyncStream<Result<Void, any Error>>.words { (say) throws(NetlinkError) in
      var events = try TrafficControlEvents()
      while say() { _ = try events.waitForChange(atMost: .seconds(30), but: FastPathReconciler.port) }
    }
    for await change in changes.cancelOnGracefulShutdown() {
      try change.get()
      news.look()
    }
  }
}

extension NodeAgent {
  /// One pass, after the routes'; it blocks.
  func keepFastPath(_ report: Reconciler.Report) -> FastPathReport {
    let node = report.own.node
    let pods = FastPathPods(stateDirectory: options.stateDir)
    return fastPath.reconcile(
      own: node.subnets.values,
      peers: report.peers.compactMap { peer in
        guard let subnet = peer.subnet, let link = peer.installedLink, let gateway = peer.gateway else { return nil }
        return FastPathReconciler.Peer(subnet: subnet, link: link, nextHop: gateway)
      },
      pods: { try pods.places($0) })
  }
}
