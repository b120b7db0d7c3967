internal import Lease
internal import NodeRoutes

/// What this process knows of etcd and what it holds there.
package typealias EtcdView = StoreView<EtcdContent>

package struct EtcdContent: Sendable {
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

extension StoreView where Content == EtcdContent {
  package convenience init() { self.init(EtcdContent()) }

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
