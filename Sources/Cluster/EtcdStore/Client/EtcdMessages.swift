internal import JSON
internal import StoreTransport

/// A key with its value; what etcd's JSON omits is zero or empty.
struct EtcdKeyValue: Sendable, Equatable {
  /// As text; `nil` where it is no UTF-8, which none of flannel's keys are.
  let key: String
  let value: [UInt8]
  /// The revisions of the key's first and last change since it came into being; 0 in both: there is no such key.
  let createRevision: Int64
  let modRevision: Int64
  /// 0 for a key that stays for ever.
  let leaseID: Int64

  init(_ object: JSONObject) {
    key = String(decoding: Base64.decode(object["key"]?.string ?? "") ?? [], as: UTF8.self)
    value = Base64.decode(object["value"]?.string ?? "") ?? []
    createRevision = object.number("create_revision")
    modRevision = object.number("mod_revision")
    leaseID = object.number("lease")
  }
}

/// What every answer of etcd begins with.
struct EtcdHeader: Sendable, Equatable {
  let clusterID: String
  /// The store's revision at the time of the answer; 0 in some answers, which tell none.
  let revision: Int64
  /// Which election the store has had last; a store that was set up anew begins again with the first.
  let raftTerm: Int64

  init(_ answer: JSONObject) {
    let header = answer["header"]?.object ?? JSONObject()
    clusterID = header["cluster_id"]?.string ?? ""
    revision = header.number("revision")
    raftTerm = header.number("raft_term")
  }
}

/// One change that a watch tells.
struct EtcdEvent: Sendable, Equatable {
  let isDeletion: Bool
  let keyValue: EtcdKeyValue

  init(_ object: JSONObject) {
    isDeletion = object["type"]?.string == "DELETE"
    keyValue = EtcdKeyValue(object["kv"]?.object ?? JSONObject())
  }
}

extension JSONObject {
  /// The objects of an array; none where it is omitted.
  func objects(_ name: String) -> [JSONObject] {
    self[name]?.array?.compactMap(\.object) ?? []
  }
}
