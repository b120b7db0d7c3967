package import Nodes

/// What this process knows of etcd and what it holds there.
package typealias EtcdView = StoreView<EtcdContent>

package struct EtcdContent: Sendable {
  /// The last that was read, whole.
  var state: EtcdState?
  /// Why the last reading failed; `nil` again as soon as one succeeds.
  var failure: EtcdError?
  /// How many readings of everything have begun.
  var readsBegun = 0
  /// The number, from 1, of the reading that the state goes back to.
  var read = 0
  /// This node with the subnets that its pods may use, once that is known.
  var own: Node?
  /// Records that are this node's besides, by their names, and their leases.
  var retiring: [String: Int64] = [:]

  /// The state, where it can be built on.
  var usable: Result<(EtcdState, EtcdConfig), EtcdError>? {
    if let failure { return .failure(failure) }
    guard let state else { return nil }
    return state.config.map { (state, $0) }
  }

  /// Whether the state may be from before a writing of ours. One that was read later is believed whatever its revision:
  /// then the store was set back, and that writing is no more.
  func isBefore(_ writing: EtcdWriting) -> Bool {
    guard let state else { return true }
    return state.revision < writing.revision && read <= writing.readsBegun
  }
}

/// When something was written.
struct EtcdWriting: Sendable {
  /// The store's revision since then.
  let revision: Int64
  /// How many readings had begun by then, which may not show it.
  let readsBegun: Int
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
      return .success(state.snapshot(config, own: own, retiring: content.retiring))
    }
  }
}
