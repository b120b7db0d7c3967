package import Addresses
internal import Linux
internal import Synchronization

/// State of the agent's store and of its lease, which status and metrics read at any time.
package final class AgentConditions: Sendable {
  /// State of the store of the nodes.
  package struct Store: Sendable, Equatable {
    /// Whether the last read succeeded.
    package internal(set) var isConnected = false
    /// Endpoint of the last read.
    package internal(set) var endpoint: String?
    /// Revision of the last read.
    package internal(set) var revision: Int64?
    /// Last failure, which is kept after a success.
    package internal(set) var lastFailure: String?
    /// Reason why this node's record cannot be written; `nil` if it could.
    package internal(set) var writeFailure: String?
    /// Time of the last change of `isConnected`, since the epoch.
    package internal(set) var since: Duration
  }

  /// State of this node's own subnets.
  package struct Lease: Sendable, Equatable {
    /// State of the lease.
    package enum State: Sendable, Equatable {
      /// No lease was asked for yet, or the store gives none, such as a nodes file.
      case none
      case held
      /// The store does not confirm the lease that it gave last; the node continues to use it. The value is the reason.
      case unconfirmed(String)
      /// The lease is lost, as far as is known; the reason.
      case lost(String)
      /// The store has no lease for this node; the reason.
      case refused(String)
    }

    /// State of the lease.
    package internal(set) var state = State.none
    /// Subnets of this node's pods, also after a loss: first those of new pods, then those of old ones.
    package internal(set) var subnets: [IPPrefix] = []
    /// Time at which the lease expires unless renewed, since the epoch; `nil` if it never does.
    package internal(set) var expiry: Duration?
    /// Subnets that are missing, and why.
    package internal(set) var shortage: String?
    /// Time of the last change of `state`, since the epoch.
    package internal(set) var since: Duration
  }

  private struct Values: Sendable {
    var store: Store
    var lease: Lease
    var listeners: [@Sendable () -> Void] = []

    /// Sets the state and returns the listeners to call if it changed.
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

  /// State of the store now.
  package var store: Store { values.withLock { $0.store } }
  /// State of the lease now.
  package var lease: Lease { values.withLock { $0.lease } }

  /// Records a successful read of the store.
  package func storeIsRead(endpoint: String, revision: Int64?) {
    let listeners = values.withLock { values in
      let listeners = values.connectionIs(true)
      values.store.endpoint = endpoint
      values.store.revision = revision
      return listeners
    }
    for listener in listeners { listener() }
  }

  /// Calls `listener` whenever the lease's state changes, or whether the store can be read. It must be quick.
  package func listen(_ listener: @escaping @Sendable () -> Void) {
    values.withLock { $0.listeners.append(listener) }
  }

  /// - Parameter failure: why this node's record could not be written; `nil` if it is as it should be.
  package func nodeIsWritten(failure: String?) {
    values.withLock { $0.store.writeFailure = failure }
  }

  /// Records a failed read of the store.
  package func storeFailed(_ reason: String) {
    let listeners = values.withLock { values in
      values.store.lastFailure = reason
      return values.connectionIs(false)
    }
    for listener in listeners { listener() }
  }

  /// Returns whether the shortage changed.
  package func leaseLacks(_ shortage: String?) -> Bool {
    values.withLock { values in
      defer { values.lease.shortage = shortage }
      return values.lease.shortage != shortage
    }
  }

  /// Returns whether the state changed.
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
