internal import Linux
internal import Logging
internal import NodeRoutes

/// Keeps a view of etcd up to date: reads everything at one revision, watches what changes from there on, and begins
/// anew whenever the watch ends, for whatever reason.
struct EtcdFeed: Sendable {
  let client: EtcdClient
  let view: EtcdView
  let conditions: AgentConditions
  let logger: Logger

  /// How often a silent watch's endpoint is asked whether it is alive.
  private static let probeInterval = 30.0

  /// Until the task is cancelled.
  func run() async {
    var backOff = BackOff()
    while !Task.isCancelled {
      do {
        let revision = try await read()
        let start = MonotonicTime.now
        do {
          try await follow(from: revision + 1)
        } catch {
          if Task.isCancelled { return }
          logger.info("etcd is read anew: \(error)")
        }
        // Whatever ends a watch at once would end the next one too.
        if MonotonicTime.now - start > .seconds(5) { backOff.reset() }
      } catch {
        if Task.isCancelled { return }
        fail(error)
      }
      try? await Task.sleep(for: backOff.next())
    }
  }

  /// Reads everything, and returns its revision.
  private func read() async throws -> Int64 {
    let state = EtcdState(try await client.list(), client.layout)
    let endpoint = client.endpoint
    if let old = view.content.state {
      if old.clusterID != state.clusterID {
        throw EtcdError.otherCluster(known: old.clusterID, found: state.clusterID)
      }
      if state.revision < old.revision {
        throw EtcdError.wentBack(known: old.revision, found: state.revision)
      }
    }
    view.update { content in
      content.state = state
      content.failure = nil
      content.generation += 1
    }
    tell(state, at: endpoint)
    return state.revision
  }

  private func tell(_ state: EtcdState, at endpoint: String) {
    switch state.config {
    case .success: conditions.storeIsRead(endpoint: endpoint, revision: state.revision)
    case .failure(let error): conditions.storeFailed("\(error)")
    }
  }

  private func fail(_ error: any Error) {
    let failure = error as? EtcdError ?? .badAnswer(endpoint: client.endpoint, reason: "\(error)")
    conditions.storeFailed("\(failure)")
    // The same trouble again is no news.
    guard view.content.failure != failure else { return }
    view.update { $0.failure = failure }
  }

  /// Watches until something ends that.
  private func follow(from revision: Int64) async throws {
    let endpoint = client.endpoint
    do {
      try await withThrowingTaskGroup { group in
        group.addTask {
          try await client.watch(from: revision, at: endpoint) { answer in
            guard !answer.events.isEmpty else { return }
            view.update { $0.state?.apply(answer) }
            if let state = view.content.state { tell(state, at: endpoint) }
          }
        }
        group.addTask {
          while true {
            try await Task.sleep(for: .seconds(EtcdFeed.probeInterval * Double.random(in: 0.75...1)))
            _ = try await client.probe(endpoint)
          }
        }
        defer { group.cancelAll() }
        try await group.next()
      }
    } catch {
      if !Task.isCancelled { client.leave(endpoint) }
      throw error
    }
  }
}
