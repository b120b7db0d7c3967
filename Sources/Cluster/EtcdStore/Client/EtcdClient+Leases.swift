internal import JSON
internal import StoreTransport

extension EtcdClient {
  /// A lease of etcd: keys that hang on it go with it.
  struct Lease: Sendable, Equatable {
    let id: Int64
    /// As etcd gave it, which may be longer than what was asked for.
    let ttl: Duration
  }

  /// A new lease.
  func grant(_ ttl: Duration) async throws -> Lease {
    let answer = try await call("/v3/lease/grant", ["TTL": .string("\(ttl.components.seconds)")])
    let id = answer.number("ID")
    guard id != 0 else { throw EtcdError.badAnswer(endpoint: endpoint, reason: "a lease without number") }
    guard let ttl = EtcdClient.time(answer.number("TTL")) else {
      throw EtcdError.badAnswer(endpoint: endpoint, reason: "a lease without time")
    }
    return Lease(id: id, ttl: ttl)
  }

  /// Begins the lease's time anew and returns it; `nil` where the lease is gone.
  func keepAlive(_ id: Int64) async throws -> Duration? {
    let answer = try await call("/v3/lease/keepalive", ["ID": .string("\(id)")])
    return EtcdClient.time(answer["result"]?.object?.number("TTL") ?? 0)
  }

  /// What the lease was granted for and what is left of it; `nil` where it is gone.
  func timeToLive(_ id: Int64) async throws -> (granted: Duration, left: Duration)? {
    let answer = try await call("/v3/lease/timetolive", ["ID": .string("\(id)")])
    guard let left = EtcdClient.time(answer.number("TTL")) else { return nil }
    return (EtcdClient.time(answer.number("grantedTTL")) ?? left, left)
  }

  /// The time of a lease, `nil` where none is left; no longer than etcd itself grants (lease/lessor.go, MaxLeaseTTL), so
  /// that whoever reckons with it need not fear an overflow.
  static func time(_ seconds: Int64) -> Duration? {
    seconds > 0 ? .seconds(min(seconds, 9_000_000_000)) : nil
  }

  /// What became of a transaction that changes one key.
  enum Change: Sendable {
    /// At this revision of the store.
    case done(Int64)
    /// Nothing was changed; what is there instead.
    case conflict([EtcdKeyValue])
  }

  /// Makes a record where no record has this IPv4 subnet in its key yet, whatever its IPv6 part.
  func create(_ name: EtcdSubnetKey, _ value: String, leaseID: Int64) async throws -> Change {
    let others = EtcdRange(prefix: layout.key(name.ipv4Part))
    let compare: JSONValue = [
      "target": "CREATE", "result": "EQUAL", "key": .string(Base64.encode(others.start)),
      "range_end": .string(Base64.encode(others.end)), "create_revision": "0",
    ]
    return try await change([compare], [put(name.text, value, leaseID)], others)
  }

  /// Gives a record another value where nobody has changed it since `revision`.
  func update(_ name: String, _ value: String, leaseID: Int64, since revision: Int64) async throws -> Change {
    try await change(
      [isUnchanged(name, revision)], [put(name, value, leaseID)], EtcdRange(single: layout.key(name)))
  }

  /// Removes a record where nobody has changed it since `revision`.
  func remove(_ name: String, since revision: Int64) async throws -> Change {
    try await change(
      [isUnchanged(name, revision)], [["request_delete_range": ["key": .string(Base64.encode(layout.key(name)))]]],
      EtcdRange(single: layout.key(name)))
  }

  /// Puts a record in another one's place, or beside it where that stays, if nobody has changed that since `revision`.
  func replace(
    _ old: String, since revision: Int64, by name: EtcdSubnetKey, _ value: String, leaseID: Int64, staysToo: Bool
  ) async throws -> Change {
    let isFree: JSONValue = [
      "target": "CREATE", "result": "EQUAL", "key": .string(Base64.encode(layout.key(name.text))),
      "create_revision": "0",
    ]
    let removal: [JSONValue] =
      staysToo ? [] : [["request_delete_range": ["key": .string(Base64.encode(layout.key(old)))]]]
    return try await change(
      [isUnchanged(old, revision), isFree], removal + [put(name.text, value, leaseID)],
      EtcdRange(prefix: layout.key(name.ipv4Part)))
  }

  private func isUnchanged(_ name: String, _ revision: Int64) -> JSONValue {
    [
      "target": "MOD", "result": "EQUAL", "key": .string(Base64.encode(layout.key(name))),
      "mod_revision": .string("\(revision)"),
    ]
  }

  private func put(_ name: String, _ value: String, _ leaseID: Int64) -> JSONValue {
    [
      "request_put": [
        "key": .string(Base64.encode(layout.key(name))), "value": .string(Base64.encode(value)),
        "lease": .string("\(leaseID)"),
      ]
    ]
  }

  private func change(_ compare: [JSONValue], _ success: [JSONValue], _ look: EtcdRange) async throws -> Change {
    let otherwise: JSONValue = [
      "request_range": ["key": .string(Base64.encode(look.start)), "range_end": .string(Base64.encode(look.end))]
    ]
    let answer = try await call(
      "/v3/kv/txn", ["compare": .array(compare), "success": .array(success), "failure": [otherwise]])
    if answer["succeeded"] == true { return .done(EtcdHeader(answer).revision) }
    let found = answer.objects("responses").first?["response_range"]?.object?.objects("kvs") ?? []
    return .conflict(found.map(EtcdKeyValue.init))
  }
}
