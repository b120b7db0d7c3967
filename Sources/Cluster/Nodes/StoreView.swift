internal import Synchronization

/// State of a store as this process knows it, and what this node holds there. The feed and the lease holder write it.
package final class StoreView<Content: Sendable>: Sendable {
  private struct Shared: ~Copyable {
    var content: Content
    var listeners: [@Sendable () -> Void] = []
  }

  private let shared: Mutex<Shared>

  package init(_ content: Content) { shared = Mutex(Shared(content: content)) }

  /// Content now.
  package var content: Content { shared.withLock { $0.content } }

  /// Changes the content and calls all listeners.
  package func update(_ body: (inout Content) -> Void) {
    updateWhereNew { content in
      body(&content)
      return true
    }
  }

  /// Changes the content, and calls all listeners if `body` returns `true`.
  package func updateWhereNew(_ body: (inout Content) -> Bool) {
    let listeners = shared.withLock { shared in body(&shared.content) ? shared.listeners : [] }
    for listener in listeners { listener() }
  }

  /// Calls `listener` after every change; it must be quick.
  package func listen(_ listener: @escaping @Sendable () -> Void) {
    shared.withLock { $0.listeners.append(listener) }
  }

  /// Returns results of `snapshot` now and after each change, the newest only. `feed` runs as long as the stream is
  /// read.
  package func snapshots<Snapshot: Sendable>(
    while feed: @escaping @Sendable () async -> Void, _ snapshot: @escaping @Sendable (StoreView) -> Snapshot?
  ) -> AsyncStream<Snapshot> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      let (changes, change) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
      listen { change.yield() }
      let following = Task {
        await withTaskGroup { group in
          group.addTask { await feed() }
          group.addTask {
            for await _ in changes {
              if let snapshot = snapshot(self) { continuation.yield(snapshot) }
            }
          }
        }
      }
      continuation.onTermination = { _ in following.cancel() }
    }
  }
}
