internal import Addresses
internal import Linux

/// A record that this node holds, and the lifetime of its lease.
struct HeldRecord: Sendable {
  let key: EtcdSubnetKey
  /// Name of the record in etcd.
  let name: String
  /// Lease that the record is attached to; 0 for a reservation.
  let leaseID: Int64
  /// Revision of the store at which we wrote the record, or found it as desired.
  var modRevision: Int64
  /// Addresses of this node that the record contains.
  var addresses: [IPAddress]
  /// End of the lease by the monotonic clock; `nil` for a reservation.
  private(set) var expiry: Duration?
  /// Time of the next renewal by the monotonic clock; `nil` if there is nothing to renew.
  private(set) var renewal: Duration?
  /// Whether etcd has revoked the lease. It removes the record too, unless the record gets another lease in time.
  private(set) var isRevoked = false

  /// Makes a held record.
  ///
  /// - Parameters:
  ///   - ttl: lifetime of the lease; `nil` for a reservation.
  ///   - start: latest time at which the lifetime can have begun, by the monotonic clock.
  ///   - margin: least time between renewal and expiry.
  init(
    _ key: EtcdSubnetKey, _ version: RecordVersion, addresses: [IPAddress], ttl: Duration?, start: Duration,
    margin: Duration
  ) {
    self.key = key
    name = version.name
    leaseID = version.leaseID
    modRevision = version.modRevision
    self.addresses = addresses
    if let ttl { renewed(ttl, start: start, margin: margin) }
  }

  /// Notes that the lease has a new lifetime. The next renewal follows after a third of it, so that a lease survives
  /// two thirds of its lifetime without etcd; earlier if the margin asks for that.
  mutating func renewed(_ ttl: Duration, start: Duration, margin: Duration) {
    expiry = start + ttl
    let pause = ttl > margin ? min(ttl / 3, ttl - margin) : ttl / 3
    renewal = start + pause * Double.random(in: 0.9...1)
  }

  /// Postpones the next renewal.
  mutating func retry(after pause: Duration) {
    renewal = MonotonicTime.now + pause
  }

  /// Notes that etcd has revoked the lease.
  mutating func revoked() {
    isRevoked = true
    renewal = nil
  }

  var version: RecordVersion { RecordVersion(name: name, leaseID: leaseID, modRevision: modRevision) }
  var hasExpired: Bool { expiry.map { $0 <= MonotonicTime.now } ?? false }
  var isDue: Bool { renewal.map { $0 <= MonotonicTime.now } ?? false }
  var subnets: [IPPrefix] { key.subnets }

  /// End of the lease since the Unix epoch; `nil` for a reservation.
  var expirySinceEpoch: Duration? {
    expiry.map { MonotonicTime.sinceEpoch + ($0 - MonotonicTime.now) }
  }
}
