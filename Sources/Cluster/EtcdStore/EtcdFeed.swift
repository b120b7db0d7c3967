internal import Linux
internal import Logging
internal import Nodes
internal import StoreTransport

/// Keeps a view of etcd up to date: reads everything at one revision and watches what changes from there on. A watch that
/// ends goes on behind the last revision, here or at another endpoint, so that the loss of a member does not make all
/// nodes of a large cluster read everything at once; it is read anew where nothing says that no change is missed.
struct EtcdFeed: Sendable {
  let client: EtcdClient
  let view: EtcdView
  let backends: BackendReader
  let conditions: AgentConditions
  let logger: Logger

  /// How often a silent watch's endpoint is asked whether it is alive.
  private static let probeInterval = 30.0
  /// How often a watch may fail to begin while etcd answers.
  private static let doubtsLimit = 3

  /// Until the task is cancelled.
  func run() async {
    var backOff = BackOff()
    var mayResume = false
    var doubts = 0
    while !Task.isCancelled {
      let start = MonotonicTime.now
      do {
        if !mayResume {
          try await read()
          (mayResume, doubts) = (true, 0)
        }
        try await follow()
      } catch let error as EtcdFeedEnd {
        if Task.isCancelled { return }
        if error.hasBegun { doubts = 0 }
        switch error.cause {
        case .missed(let reason):
          mayResume = false
          logger.info("etcd is read anew: \(reason)")
          // Whatever makes one node read everything may make all of them.
          let count = view.content.state?.records.sorted.count ?? 0
          try? await Task.sleep(for: .milliseconds(Int.random(in: 0...count)))
        case .ended(let reason):
          logger.info("a watch is over, the next one goes on from there: \(reason)")
          if !error.hasBegun, await answers() {
            doubts += 1
            mayResume = doubts < EtcdFeed.doubtsLimit
          }
        }
        // Whatever ends a watch at once would end the next one too.
        if error.hasBegun, MonotonicTime.now - start > .seconds(5) { backOff.reset() }
      } catch {
        if Task.isCancelled { return }
        fail(error)
      }
      try? await Task.sleep(for: backOff.next())
    }
  }

  /// Reads everything.
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
    tell(state, at: endpoint)
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

  /// Whether any endpoint does, and has a leader.
  private func answers() async -> Bool {
    do {
      _ = try await client.probe()
      return true
    } catch {
      if !Task.isCancelled { fail(error) }
      return false
    }
  }

  /// Watches from the last revision on until something ends that. What is known is told once more, because a watch that
  /// begins just behind it would not hear of a removal at that revision where etcd has compacted it (etcd 3.4): so etcd
  /// says that it has.
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
            if let state = view.content.state { tell(state, at: endpoint) }
          }
        }
        group.addTask {
          try await watch.waitForBeginning()
          // A member that was cut off from the others can't answer this one.
          try await probe(endpoint)
          watch.confirm()
          if view.content.failure != nil { view.update { $0.failure = nil } }
          if let state = view.content.state { tell(state, at: endpoint) }
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

  /// Asks an endpoint, which can only answer for what was known before the question.
  private func probe(_ endpoint: String) async throws {
    let state = view.content.state
    try check(try await client.probe(endpoint), state)
  }

  /// - Throws: where the state is not this store's.
  private func check(_ header: EtcdHeader, _ state: EtcdState?) throws {
    if let state, state.isOfAnother(header) { throw EtcdFeedEnd.OtherStore(header: header) }
  }
}

/// Why a watch is over, and what that means.
struct EtcdFeedEnd: Error {
  enum Cause {
    /// Changes may be missed: everything must be read anew.
    case missed(String)
    /// Another watch may go on from there.
    case ended(String)
  }

  /// An answer that another store gives, or this one at an earlier time.
  struct OtherStore: Error, CustomStringConvertible {
    let header: EtcdHeader
    var description: String { "it answers as another or earlier one, at revision \(header.revision)" }
  }

  let cause: Cause
  /// Whether nothing was missed before it was over.
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
