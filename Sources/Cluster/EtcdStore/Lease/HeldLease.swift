internal import Addresses
internal import Linux

/// The record that this node holds, and how long it lasts.
struct HeldLease: Sendable {
  let key: EtcdSubnetKey
  /// As it stands in etcd.
  let name: String
  /// 0 for a reservation.
  let leaseID: Int64
  /// The store's revision at which we wrote the record, or found it as it must be.
  var modRevision: Int64
  /// Which addresses of this node it tells.
  var addresses: [IPAddress]
  /// By the monotonic clock; `nil` for a reservation.
  private(set) var expiry: Duration?
  /// When to begin the time anew, by the monotonic clock.
  private(set) var renewal: Duration?
  /// Whether etcd has dropped the lease: the record goes with it, unless it gets another one in time.
  private(set) var isGone = false

  /// - Parameter start: when the lease's time began at the latest.
  init(
    _ key: EtcdSubnetKey, _ mark: RecordMark, telling addresses: [IPAddress], ttl: Duration?, start: Duration,
    margin: Duration
  ) {
    self.key = key
    name = mark.name
    leaseID = mark.leaseID
    modRevision = mark.modRevision
    self.addresses = addresses
    if let ttl { renewed(ttl, start: start, margin: margin) }
  }

  /// After a third of its time: so a lease outlives two thirds of it without etcd, whatever the moment. The margin
  /// before its end counts where that is sooner.
  mutating func renewed(_ ttl: Duration, start: Duration, margin: Duration) {
    expiry = start + ttl
    let pause = ttl > margin ? min(ttl / 3, ttl - margin) : ttl / 3
    renewal = start + pause * Double.random(in: 0.9...1)
  }

  mutating func tryAgain(after pause: Duration) {
    renewal = MonotonicTime.now + pause
  }

  /// There is nothing to begin anew any more.
  mutating func gone() {
    isGone = true
    renewal = nil
  }

  var mark: RecordMark { RecordMark(name: name, leaseID: leaseID, modRevision: modRevision) }
  var hasExpired: Bool { expiry.map { $0 <= MonotonicTime.now } ?? false }
  var isDue: Bool { renewal.map { $0 <= MonotonicTime.now } ?? false }
  var subnets: [IPPrefix] { key.subnets }

  /// When it ends, since the epoch.
  var expirySinceEpoch: Duration? {
    expiry.map { MonotonicTime.sinceEpoch + ($0 - MonotonicTime.now) }
  }
}
