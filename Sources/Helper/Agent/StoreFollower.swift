internal import Linux
internal import Logging
internal import Nodes
internal import Parts
internal import ServiceLifecycle

/// Follows the store's nodes. While a store that gives leases cannot be read, the agent starts with what the node knows
/// itself.
struct StoreFollower: Service {
  let agent: NodeAgent
  let board: TriggerBoard
  let state: AgentState

  /// Interval at which the node is asked for an address of its own, while it has none.
  private static let interval = Duration.seconds(1)

  func run() async throws {
    var start: Task<Void, any Error>?
    defer { start?.cancel() }
    var failure: String?
    for await nodes in agent.store.updates().cancelOnGracefulShutdown() {
      state.note(nodes)
      switch nodes {
      case .success:
        if failure != nil { agent.log.logger.info("the nodes can be read again") }
        failure = nil
        start?.cancel()
        start = nil
        board.fire(.nodes)
      case .failure(let error):
        if failure != "\(error)" {
          agent.log.logger.error("the nodes can't be read, so all stays as it is: \(error)")
        }
        failure = "\(error)"
        start = start ?? Task { try await startWithoutStore() }
      }
    }
  }

  private func startWithoutStore() async throws {
    while agent.leaseHolder != nil, !state.hasNodes {
      if let nodes = await agent.lastKnownNodes() {
        try Task.checkCancellation()
        state.note(lastKnown: nodes)
        board.fire(.nodes)
        return
      }
      try await Task.sleep(for: StoreFollower.interval)
    }
  }
}

/// Keeps this node's lease, or what else its store holds of it.
struct LeaseHolderService: Service {
  let holder: any LeaseHolder

  func run() async throws {
    await cancelWhenGracefulShutdown { await holder.run() }
  }
}
