internal import JSON
internal import StoreTransport

/// A key and its value. etcd's JSON omits zero and empty fields.
struct EtcdKeyValue: Sendable, Equatable {
  /// Key as text; flannel's keys are ASCII.
  let key: String
  let value: [UInt8]
  /// Revision at which the key was created; 0 if there is no such key.
  let createRevision: Int64
  /// Revision of the latest change of the key.
  let modRevision: Int64
  /// Lease that the key is attached to; 0 for none.
  let leaseID: Int64

  init(_ object: JSONObject) {
    key = String(decoding: Base64.decode(object["key"]?.string ?? "") ?? [], as: UTF8.self)
    value = Base64.decode(object["value"]?.string ?? "") ?? []
    createRevision = object.number("create_revision")
    modRevision = object.number("mod_revision")
    leaseID = object.number("lease")
  }
}

/// Header of an answer.
struct EtcdHeader: Sendable, Equatable {
  let clusterID: String
  /// Revision of the store at the time of the answer; 0 in answers that contain none.
  let revision: Int64
  /// Term of the latest election; a store that is set up again starts with the first term.
  let raftTerm: Int64

  init(_ answer: JSONObject) {
    let header = answer["header"]?.object ?? JSONObject()
    clusterID = header["cluster_id"]?.string ?? ""
    revision = header.number("revision")
    raftTerm = header.number("raft_term")
  }
}

/// One change that a watch reports.
struct EtcdEvent: Sendable, Equatable {
  let isDeletion: Bool
  let keyValue: EtcdKeyValue

  init(_ object: JSONObject) {
    isDeletion = object["type"]?.string == "DELETE"
    keyValue = EtcdKeyValue(object["kv"]?.object ?? JSONObject())
  }
}

extension JSONObject {
  /// Objects of an array member; none if the member is omitted.
  func objects(_ name: String) -> [JSONObject] {
    self[name]?.array?.compactMap(\.object) ?? []
  }
}
