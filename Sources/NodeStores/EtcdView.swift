internal import Lease
internal import NodeRoutes
internal import Synchronization

/// What this process knows of etcd and what it holds there: written by the feed and the lease keeper, read by both and
/// by whoever wants the nodes.
package final class EtcdView: Sendable {
  struct Content: Sendable {
    /// The last that was read, whole.
    var state: EtcdState?
    /// Why the last reading failed; `nil` again as soon as one succeeds.
    var failure: EtcdError?
    /// How many times everything was read anew.
    var generation = 0
    /// This node with the subnets that its pods may use, once that is known.
    var own: Node?

    /// The state, where it can be built on.
    var usable: Result<(EtcdState, EtcdConfig), EtcdError>? {
      if let failure { return .failure(failure) }
      guard let state else { return nil }
      return state.config.map { (state, $0) }
    }
  }

  private struct Shared: ~Copyable {
    var content = Content()
    var listeners: [@Sendable () -> Void] = []
  }

  private let shared = Mutex(Shared())

  package init() {}

  var content: Content { shared.withLock { $0.content } }

  /// Changes the content and tells everybody who listens.
  func update(_ body: (inout Content) -> Void) {
    let listeners = shared.withLock { shared in
      body(&shared.content)
      return shared.listeners
    }
    for listener in listeners { listener() }
  }

  /// Calls `listener` after every change; it must be quick.
  func listen(_ listener: @escaping @Sendable () -> Void) {
    shared.withLock { $0.listeners.append(listener) }
  }

  /// The nodes as they are now; `nil` where nothing can be said yet.
  func snapshot() -> Result<NodeSnapshot, any Error>? {
    let content = content
    switch content.usable {
    case nil: return nil
    case .failure(let error): return .failure(error)
    case .success(let (state, config)):
      guard let own = content.own else { return nil }
      return .success(state.snapshot(config, own: own))
    }
  }
}
