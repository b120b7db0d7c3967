package import Nodes

/// State of etcd as this process knows it, with this node's own lease.
package typealias EtcdView = StoreView<EtcdContent>

/// Content of an `EtcdView`.
package struct EtcdContent: Sendable {
  /// Latest known state.
  var state: EtcdState?
  /// Error of the latest read; `nil` after a success.
  var failure: EtcdError?
  /// Number of full reads that have begun.
  var readsBegun = 0
  /// Number, from 1, of the full read that the state is based on.
  var read = 0
  /// Own node with the subnets of its pods; `nil` until they are known.
  var own: Node?
  /// Further records of this node by name, with their leases.
  var retiring: [String: Int64] = [:]

  /// State and configuration if both are valid; `nil` before the first read.
  var usable: Result<(EtcdState, EtcdConfig), EtcdError>? {
    if let failure { return .failure(failure) }
    guard let state else { return nil }
    return state.config.map { (state, $0) }
  }

  /// Whether the state may lack a write of ours. A state of a later full read is current even if its revision is lower:
  /// then the store was restored from a backup, and the write is lost.
  func isBefore(_ write: EtcdWrite) -> Bool {
    guard let state else { return true }
    return state.revision < write.revision && read <= write.readsBegun
  }
}

/// A write of ours. A state may or may not contain it.
struct EtcdWrite: Sendable {
  /// Revision of the store after the write.
  let revision: Int64
  /// Number of full reads that had begun by then; they may not contain it.
  let readsBegun: Int
}

extension StoreView where Content == EtcdContent {
  /// Makes a view that knows nothing yet.
  package convenience init() { self.init(EtcdContent()) }

  /// The nodes as they are now; `nil` until they are known.
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
