package import Addresses
internal import Linux
internal import Synchronization

/// How it stands with the agent's store and with its lease: what it tells whoever asks, at any time.
package final class AgentConditions: Sendable {
  /// The store of the nodes.
  package struct Store: Sendable, Equatable {
    /// Whether the last reading succeeded.
    package internal(set) var isConnected = false
    /// Where it was read last.
    package internal(set) var endpoint: String?
    /// The revision that is known.
    package internal(set) var revision: Int64?
    /// The last thing that went wrong, also after it went well again.
    package internal(set) var lastFailure: String?
    /// Why this node can't be kept there as it should; `nil` where it can.
    package internal(set) var writeFailure: String?
    /// When `isConnected` became what it is, since the epoch.
    package internal(set) var since: Duration
  }

  /// This node's own subnet.
  package struct Lease: Sendable, Equatable {
    package enum State: Sendable, Equatable {
      /// None was asked for yet, or the store gives none (a nodes file says which are whose).
      case none
      case held
      /// The store does not say that it is, but it was the last time, and the node goes on with it; why.
      case unconfirmed(String)
      /// What was held is held no more, or for all that can be known; why.
      case lost(String)
      /// There is none to have; why.
      case refused(String)
    }

    package internal(set) var state = State.none
    /// What this node's pods may use, also while it is lost; first what new pods get, then what old ones are in.
    package internal(set) var subnets: [IPPrefix] = []
    /// When the lease ends unless it is renewed, since the epoch; `nil` for one that stays for ever.
    package internal(set) var expiry: Duration?
    /// What it should have besides, and why that can't be had.
    package internal(set) var shortage: String?
    /// When `state` became what it is, since the epoch.
    package internal(set) var since: Duration
  }

  private struct Values: Sendable {
    var store: Store
    var lease: Lease
    var listeners: [@Sendable () -> Void] = []

    /// Returns who must be told that it is another than before.
    mutating func connectionIs(_ isConnected: Bool) -> [@Sendable () -> Void] {
      guard store.isConnected != isConnected else { return [] }
      store.since = MonotonicTime.sinceEpoch
      store.isConnected = isConnected
      return listeners
    }
  }

  private let values: Mutex<Values>

  package init() {
    let now = MonotonicTime.sinceEpoch
    values = Mutex(Values(store: Store(since: now), lease: Lease(since: now)))
  }

  package var store: Store { values.withLock { $0.store } }
  package var lease: Lease { values.withLock { $0.lease } }

  package func storeIsRead(endpoint: String, revision: Int64?) {
    let listeners = values.withLock { values in
      let listeners = values.connectionIs(true)
      values.store.endpoint = endpoint
      values.store.revision = revision
      return listeners
    }
    for listener in listeners { listener() }
  }

  /// Calls `listener` whenever the lease's state is another, or whether the store can be read; it must be quick.
  package func listen(_ listener: @escaping @Sendable () -> Void) {
    values.withLock { $0.listeners.append(listener) }
  }

  /// - Parameter failure: why what must stand there of this node could not be written; `nil` where it stands there.
  package func nodeIsWritten(failure: String?) {
    values.withLock { $0.store.writeFailure = failure }
  }

  package func storeFailed(_ reason: String) {
    let listeners = values.withLock { values in
      values.store.lastFailure = reason
      return values.connectionIs(false)
    }
    for listener in listeners { listener() }
  }

  /// Says whether that is another than before.
  package func leaseLacks(_ shortage: String?) -> Bool {
    values.withLock { values in
      defer { values.lease.shortage = shortage }
      return values.lease.shortage != shortage
    }
  }

  /// Says whether the state is another than before.
  @discardableResult
  package func leaseIs(_ state: Lease.State, subnets: [IPPrefix], expiry: Duration?) -> Bool {
    let listeners = values.withLock { values -> [@Sendable () -> Void]? in
      let isNew = values.lease.state != state
      if isNew { values.lease.since = MonotonicTime.sinceEpoch }
      values.lease.state = state
      values.lease.subnets = subnets
      values.lease.expiry = expiry
      return isNew ? values.listeners : nil
    }
    for listener in listeners ?? [] { listener() }
    return listeners != nil
  }
}
