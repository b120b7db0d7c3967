internal import Backends
internal import Linux
internal import Logging
internal import Netfilter
internal import Netlink
internal import NodeRoutes
internal import NodeRules
internal import Nodes
internal import ServiceLifecycle

/// Hands every snapshot of the store on; until the first one, where the store can't be read, what the node knows itself.
struct StoreFollower: Service {
  let agent: NodeAgent
  let readers: [News]
  let state: AgentState

  /// How often the node is asked for an address of its own, while it has none.
  private static let interval = Duration.seconds(1)

  func run() async throws {
    var start: Task<Void, any Error>?
    defer { start?.cancel() }
    for await nodes in agent.store.updates().cancelOnGracefulShutdown() {
      state.note(nodes)
      for reader in readers { reader.put(nodes) }
      switch nodes {
      case .success:
        start?.cancel()
        start = nil
      case .failure: start = start ?? Task { try await startWithoutStore() }
      }
    }
  }

  private func startWithoutStore() async throws {
    while agent.keeper != nil, state.now.snapshot == nil {
      if let nodes = await agent.lastKnownNodes() {
        try Task.checkCancellation()
        for reader in readers { reader.start(with: nodes) }
        return
      }
      try await Task.sleep(for: StoreFollower.interval)
    }
  }
}

/// Says when somebody else changes links, addresses, routes or next hops, and every 30 seconds in any case. The first word
/// comes when it begins to listen: what changed before that is to be looked at.
struct KernelFollower: Service {
  /// Told each time; they must be quick.
  let listeners: [@Sendable () -> Void]

  func run() async throws {
    let changes = try AsyncStream<Result<Void, any Error>>.words { (say) throws(NetlinkError) in
      var events = try RouteEvents(tunnelsMarked: TunnelDevice.mark)
      while say() { _ = try events.waitForChange(atMost: .seconds(30), but: Reconciler.port) }
    }
    for await change in changes.cancelOnGracefulShutdown() {
      try change.get()
      for listener in listeners { listener() }
    }
  }
}

/// Keeps this node's lease, or what else its store holds of it.
struct KeeperService: Service {
  let keeper: any LeaseHolder

  func run() async throws {
    await cancelWhenGracefulShutdown { await keeper.run() }
  }
}

/// The same as `KernelFollower` for the rules: the helper's own table, its rules in chains of others, and chains that
/// see forwarded packets.
struct RulesFollower: Service {
  let news: News
  let logger: Logger

  func run() async throws {
    await cancelWhenGracefulShutdown {
      var failure: String?
      while !Task.isCancelled {
        do {
          try await follow()
        } catch {
          // A kernel without nf_tables, perhaps: what is kept is kept all the same.
          if failure != "\(error)" { logger.warning("changes of the rules are not seen: \(error)") }
          failure = "\(error)"
        }
        try? await Task.sleep(for: .seconds(30))
        news.look()
      }
    }
  }

  private func follow() async throws {
    let changes = try AsyncStream<Result<Void, any Error>>.words { (say) throws(NetlinkError) in
      var events = try NetfilterEvents(
        table: RulesReconciler.tableName, comment: RulesReconciler.acceptComment)
      while say() { _ = try events.waitForChange(atMost: .seconds(30)) }
    }
    for await change in changes {
      try change.get()
      news.look()
    }
  }
}

extension AsyncStream where Element == Result<Void, any Error> {
  /// From a thread of its own in this process's namespace, which lives as long as the process. `body` calls what it is
  /// given to say a word, and ends when that says that nobody listens.
  static func words(
    _ body: @escaping @Sendable (_ say: () -> Bool) throws(NetlinkError) -> Void
  ) throws -> Self {
    let (stream, continuation) = makeStream(bufferingPolicy: .bufferingNewest(1))
    try startThread {
      do throws(NetlinkError) {
        try body {
          if case .terminated = continuation.yield(.success(())) { false } else { true }
        }
      } catch {
        continuation.yield(.failure(error))
      }
    }
    return stream
  }
}
