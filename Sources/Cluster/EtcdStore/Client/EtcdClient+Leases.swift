internal import JSON
internal import Linux
internal import StoreTransport

extension EtcdClient {
  /// A lease that etcd has granted. etcd removes the keys that are attached to it when it expires.
  struct Grant: Sendable, Equatable {
    let id: Int64
    /// Lifetime as etcd granted it, which may be longer than requested.
    let ttl: Duration
    /// Earliest time at which the lifetime can have begun, by the monotonic clock.
    let start: Duration
  }

  /// Requests a new lease.
  ///
  /// - Throws: `EtcdError`.
  func grant(_ ttl: Duration) async throws -> Grant {
    let start = MonotonicTime.now
    let answer = try await call("/v3/lease/grant", ["TTL": .string("\(ttl.components.seconds)")])
    let id = answer.number("ID")
    guard id != 0 else { throw EtcdError.badAnswer(endpoint: endpoint, reason: "a lease without an ID") }
    guard let ttl = EtcdClient.time(answer.number("TTL")) else {
      throw EtcdError.badAnswer(endpoint: endpoint, reason: "a lease without a TTL")
    }
    return Grant(id: id, ttl: ttl, start: start)
  }

  /// Renews a lease.
  ///
  /// - Returns: the new lifetime; `nil` if the lease no longer exists.
  /// - Throws: `EtcdError`.
  func keepAlive(_ id: Int64) async throws -> Duration? {
    let answer = try await call("/v3/lease/keepalive", ["ID": .string("\(id)")])
    return EtcdClient.time(answer["result"]?.object?.number("TTL") ?? 0)
  }

  /// Reads the granted and the remaining lifetime of a lease; `nil` if the lease no longer exists.
  ///
  /// - Throws: `EtcdError`.
  func timeToLive(_ id: Int64) async throws -> (granted: Duration, left: Duration)? {
    let answer = try await call("/v3/lease/timetolive", ["ID": .string("\(id)")])
    guard let left = EtcdClient.time(answer.number("TTL")) else { return nil }
    return (EtcdClient.time(answer.number("grantedTTL")) ?? left, left)
  }

  /// Converts a lifetime; `nil` if none is left. Bounded by the longest lifetime that etcd grants (`MaxLeaseTTL` in
  /// lease/lessor.go), so that sums do not overflow.
  static func time(_ seconds: Int64) -> Duration? {
    seconds > 0 ? .seconds(min(seconds, 9_000_000_000)) : nil
  }

  /// Result of a transaction that changes one record.
  enum Change: Sendable {
    /// The change was made at this revision of the store.
    case done(Int64)
    /// Nothing was changed; these keys exist instead.
    case conflict([EtcdKeyValue])
  }

  /// Creates a record unless a record with this IPv4 subnet exists, with any IPv6 subnet.
  ///
  /// - Throws: `EtcdError`.
  func create(_ name: EtcdSubnetKey, _ value: String, leaseID: Int64) async throws -> Change {
    let others = EtcdRange(prefix: layout.key(name.ipv4Part))
    let compare: JSONValue = [
      "target": "CREATE", "result": "EQUAL", "key": .string(Base64.encode(others.start)),
      "range_end": .string(Base64.encode(others.end)), "create_revision": "0",
    ]
    return try await change(if: [compare], do: [put(name.text, value, leaseID: leaseID)], elseRead: others)
  }

  /// Changes the value and lease of a record unless it has changed since `revision`.
  ///
  /// - Throws: `EtcdError`.
  func update(_ name: String, _ value: String, leaseID: Int64, since revision: Int64) async throws -> Change {
    try await change(
      if: [isUnchanged(name, revision)], do: [put(name, value, leaseID: leaseID)],
      elseRead: EtcdRange(single: layout.key(name)))
  }

  /// Removes a record unless it has changed since `revision`.
  ///
  /// - Throws: `EtcdError`.
  func remove(_ name: String, since revision: Int64) async throws -> Change {
    try await change(
      if: [isUnchanged(name, revision)],
      do: [["request_delete_range": ["key": .string(Base64.encode(layout.key(name)))]]],
      elseRead: EtcdRange(single: layout.key(name)))
  }

  /// Creates a record and removes the old one, unless the old one has changed since `revision`.
  ///
  /// - Parameter keepsOld: whether the old record remains beside the new one.
  /// - Throws: `EtcdError`.
  func replace(
    _ old: String, since revision: Int64, by name: EtcdSubnetKey, value: String, leaseID: Int64, keepsOld: Bool
  ) async throws -> Change {
    let isFree: JSONValue = [
      "target": "CREATE", "result": "EQUAL", "key": .string(Base64.encode(layout.key(name.text))),
      "create_revision": "0",
    ]
    let removal: [JSONValue] =
      keepsOld ? [] : [["request_delete_range": ["key": .string(Base64.encode(layout.key(old)))]]]
    return try await change(
      if: [isUnchanged(old, revision), isFree], do: removal + [put(name.text, value, leaseID: leaseID)],
      elseRead: EtcdRange(prefix: layout.key(name.ipv4Part)))
  }

  private func isUnchanged(_ name: String, _ revision: Int64) -> JSONValue {
    [
      "target": "MOD", "result": "EQUAL", "key": .string(Base64.encode(layout.key(name))),
      "mod_revision": .string("\(revision)"),
    ]
  }

  private func put(_ name: String, _ value: String, leaseID: Int64) -> JSONValue {
    [
      "request_put": [
        "key": .string(Base64.encode(layout.key(name))), "value": .string(Base64.encode(value)),
        "lease": .string("\(leaseID)"),
      ]
    ]
  }

  /// Runs a transaction, and reads a range if its conditions do not hold.
  private func change(
    if compare: [JSONValue], do success: [JSONValue], elseRead range: EtcdRange
  ) async throws -> Change {
    let otherwise: JSONValue = [
      "request_range": ["key": .string(Base64.encode(range.start)), "range_end": .string(Base64.encode(range.end))]
    ]
    let answer = try await call(
      "/v3/kv/txn", ["compare": .array(compare), "success": .array(success), "failure": [otherwise]])
    if answer["succeeded"] == true { return .done(EtcdHeader(answer).revision) }
    let found = answer.objects("responses").first?["response_range"]?.object?.objects("kvs") ?? []
    return .conflict(found.map(EtcdKeyValue.init))
  }
}
