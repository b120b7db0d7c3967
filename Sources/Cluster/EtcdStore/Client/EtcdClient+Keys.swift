internal import JSON
internal import StoreTransport

/// Keys of the cluster at one revision.
struct EtcdList: Sendable {
  var header: EtcdHeader
  /// The key `config`; `nil` if it does not exist.
  var config: EtcdKeyValue?
  var subnets: [EtcdKeyValue]
}

extension EtcdClient {
  /// Records of one answer, a few hundred kilobytes, so that neither end holds the JSON of a large cluster at once.
  private static let pageSize = 1000
  /// Bound on the number of records, far beyond real clusters: a list without end would exhaust the memory.
  private static let mostRecords = 1 << 20

  /// Reads `config` and all of `subnets/` at one revision; a linearizable read.
  ///
  /// - Throws: `EtcdError`.
  func list() async throws -> EtcdList {
    let range = EtcdRange(prefix: layout.subnets)
    let first: JSONValue = [
      "success": [
        ["request_range": ["key": .string(Base64.encode(layout.config))]],
        ["request_range": EtcdClient.page(range, revision: nil)],
      ]
    ]
    let answer = try await call("/v3/kv/txn", first)
    let ranges = answer.objects("responses").map { $0["response_range"]?.object ?? JSONObject() }
    guard ranges.count == 2 else {
      throw EtcdError.badAnswer(endpoint: endpoint, reason: "a transaction without answers")
    }
    var list = EtcdList(
      header: EtcdHeader(answer), config: ranges[0].objects("kvs").first.map(EtcdKeyValue.init), subnets: [])
    var page = ranges[1]
    while true {
      let before = list.subnets.last?.key
      list.subnets += page.objects("kvs").map(EtcdKeyValue.init)
      guard page["more"] == true, let last = list.subnets.last else { return list }
      // A page that makes no progress would be requested for ever.
      guard before.map({ $0.utf8.lexicographicallyPrecedes(last.key.utf8) }) ?? true,
        list.subnets.count <= EtcdClient.mostRecords
      else { throw EtcdError.badAnswer(endpoint: endpoint, reason: "a list of keys without end") }
      let rest = EtcdRange(start: Array(last.key.utf8) + [0], end: range.end)
      page = try await call("/v3/kv/range", EtcdClient.page(rest, revision: list.header.revision))
    }
  }

  private static func page(_ range: EtcdRange, revision: Int64?) -> JSONValue {
    var object: JSONObject = [
      "key": .string(Base64.encode(range.start)), "range_end": .string(Base64.encode(range.end)),
      "limit": .integer(Int64(pageSize)),
    ]
    if let revision { object["revision"] = .string("\(revision)") }
    return .object(object)
  }

  /// Makes a small linearizable read, which shows that an endpoint is alive and has a leader.
  ///
  /// - Parameter endpoint: the endpoint to read from; `nil` tries all of them.
  /// - Throws: `EtcdError`.
  func probe(_ endpoint: String? = nil) async throws -> EtcdHeader {
    let path = "/v3/kv/range"
    let body: JSONValue = ["key": .string(Base64.encode(layout.config)), "keys_only": true]
    if let endpoint { return EtcdHeader(try await call(path, body, at: endpoint)) }
    return EtcdHeader(try await call(path, body))
  }

  /// One message of a watch.
  struct WatchAnswer: Sendable {
    /// Whether this is the first message, which only confirms that the watch has begun.
    var isBeginning = false
    var header: EtcdHeader
    var events: [EtcdEvent]
  }

  /// Reports all changes under the prefix from a revision on. Ends only with an error, for example if the revision has
  /// been compacted.
  ///
  /// - Throws: `EtcdError`.
  func watch(
    from revision: Int64, at endpoint: String, onAnswer: @Sendable (WatchAnswer) throws -> Void
  ) async throws {
    let range = layout.all
    let request: JSONValue = [
      "create_request": [
        "key": .string(Base64.encode(range.start)), "range_end": .string(Base64.encode(range.end)),
        "start_revision": .string("\(revision)"), "progress_notify": true,
      ]
    ]
    try await stream("/v3/watch", request, at: endpoint) { answer in
      if answer["canceled"] == true {
        let compacted = answer.number("compact_revision")
        let reason = compacted > 0 ? "revision \(revision) has been compacted (\(compacted))" : nil
        throw EtcdError.watchCancelled(
          endpoint: endpoint, reason: reason ?? answer["cancel_reason"]?.string ?? "it was cancelled")
      }
      try onAnswer(
        WatchAnswer(
          isBeginning: answer["created"] == true, header: EtcdHeader(answer),
          events: answer.objects("events").map(EtcdEvent.init)))
    }
    throw EtcdError.watchEnded(endpoint: endpoint, reason: "etcd closed the connection")
  }
}
