internal import Linux
internal import Logging
internal import Nodes
internal import StoreTransport

/// Keeps a view of etcd current: reads everything at one revision, then watches for changes from that revision on. A
/// watch that ends is resumed after the latest revision, at the same or another endpoint. So the loss of a member does
/// not make all nodes of a large cluster read everything at once. Reads everything again if a change may have been
/// missed.
struct EtcdFeed: Sendable {
  let client: EtcdClient
  let view: EtcdView
  let backends: BackendReader
  let conditions: AgentConditions
  let logger: Logger

  /// Longest time between two probes of a watch's endpoint, in seconds.
  private static let probeInterval = 30.0
  /// Watches that may fail to begin while etcd answers, before everything is read again.
  private static let mostFailedStarts = 3

  /// Runs until the task is cancelled.
  func run() async {
    var backOff = BackOff()
    var mayResume = false
    var failedStarts = 0
    while !Task.isCancelled {
      let start = MonotonicTime.now
      do {
        if !mayResume {
          try await read()
          (mayResume, failedStarts) = (true, 0)
        }
        try await follow()
      } catch let error as EtcdFeedEnd {
        if Task.isCancelled { return }
        if error.hasBegun { failedStarts = 0 }
        switch error.cause {
        case .missed(let reason):
          mayResume = false
          logger.info("everything in etcd is read again: \(reason)")
          // All nodes may have to read everything at the same time, so they spread their reads.
          let count = view.content.state?.records.sorted.count ?? 0
          try? await Task.sleep(for: .milliseconds(Int.random(in: 0...count)))
        case .ended(let reason):
          logger.info("a watch ended, the next one resumes after it: \(reason)")
          if !error.hasBegun, await answers() {
            failedStarts += 1
            mayResume = failedStarts < EtcdFeed.mostFailedStarts
          }
        }
        // A watch that ends at once would do so again.
        if error.hasBegun, MonotonicTime.now - start > .seconds(5) { backOff.reset() }
      } catch {
        if Task.isCancelled { return }
        fail(error)
      }
      try? await Task.sleep(for: backOff.next())
    }
  }

  /// Reads everything at one revision.
  private func read() async throws {
    var read = 0
    view.updateWhereNew { content in
      content.readsBegun += 1
      read = content.readsBegun
      return false
    }
    let state = EtcdState(try await client.list(), client.layout, backends)
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
      content.read = read
    }
    report(state, at: endpoint)
  }

  private func report(_ state: EtcdState, at endpoint: String) {
    switch state.config {
    case .success: conditions.storeIsRead(endpoint: endpoint, revision: state.revision)
    case .failure(let error): conditions.storeFailed("\(error)")
    }
  }

  private func fail(_ error: any Error) {
    let failure = error as? EtcdError ?? .badAnswer(endpoint: client.endpoint, reason: "\(error)")
    conditions.storeFailed("\(failure)")
    // A failure that repeats itself changes nothing in the view.
    guard view.content.failure != failure else { return }
    view.update { $0.failure = failure }
  }

  /// Whether any endpoint answers and has a leader.
  private func answers() async -> Bool {
    do {
      _ = try await client.probe()
      return true
    } catch {
      if !Task.isCancelled { fail(error) }
      return false
    }
  }

  /// Watches until the watch ends. Starts at the known revision and not after it: if etcd 3.4 has compacted that
  /// revision, a watch after it would silently miss removals, whereas a watch at it is refused.
  private func follow() async throws(EtcdFeedEnd) {
    guard let state = view.content.state else { return }
    let endpoint = client.endpoint
    let watch = EtcdWatch(client: client, endpoint: endpoint, start: state.revision)
    do {
      try await withThrowingTaskGroup { group in
        group.addTask {
          try await watch.run { answer in
            if answer.isBeginning { return try check(answer.header, state) }
            guard let state = view.content.state, state.isBehind(answer) else { return }
            view.update { $0.state?.apply(answer) }
            if let state = view.content.state { report(state, at: endpoint) }
          }
        }
        group.addTask {
          try await watch.waitForBeginning()
          // A linearizable read: a member that is cut off from the others cannot answer it.
          try await probe(endpoint)
          watch.confirm()
          if view.content.failure != nil { view.update { $0.failure = nil } }
          if let state = view.content.state { report(state, at: endpoint) }
          while true {
            try await Task.sleep(for: .seconds(EtcdFeed.probeInterval * Double.random(in: 0.75...1)))
            try await probe(endpoint)
          }
        }
        defer { group.cancelAll() }
        try await group.next()
      }
    } catch {
      if !Task.isCancelled { client.leave(endpoint) }
      throw EtcdFeedEnd(error, hasBegun: watch.isConfirmed)
    }
  }

  /// Probes an endpoint and checks that it has at least the state that was known before the probe.
  private func probe(_ endpoint: String) async throws {
    let state = view.content.state
    try check(try await client.probe(endpoint), state)
  }

  /// Checks that an answer comes from the store of a state, and is not older.
  ///
  /// - Throws: `EtcdFeedEnd.OtherStore` otherwise.
  private func check(_ header: EtcdHeader, _ state: EtcdState?) throws {
    if let state, state.isOfAnother(header) { throw EtcdFeedEnd.OtherStore(header: header) }
  }
}

/// Reason why a watch ended, and its consequence.
struct EtcdFeedEnd: Error {
  enum Cause {
    /// Changes may have been missed, so everything must be read again.
    case missed(String)
    /// Another watch may resume at the known revision.
    case ended(String)
  }

  /// An answer of another store, or of this store in an earlier state.
  struct OtherStore: Error, CustomStringConvertible {
    let header: EtcdHeader
    var description: String { "its answer is from another store or an earlier state, at revision \(header.revision)" }
  }

  let cause: Cause
  /// Whether the watch was confirmed, so that it missed nothing before it ended.
  let hasBegun: Bool

  init(_ error: any Error, hasBegun: Bool) {
    cause =
      switch error {
      case EtcdError.watchCancelled, EtcdError.refused, is OtherStore: .missed("\(error)")
      default: .ended("\(error)")
      }
    self.hasBegun = hasBegun
  }
}
