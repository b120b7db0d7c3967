internal import Addresses
internal import JSON
internal import Linux
internal import Nodes

/// Lease of a node under `subnets/`, written by flannel or by us.
struct EtcdRecord: Sendable, Equatable {
  /// Key after `subnets/`, as stored.
  let name: String
  /// `nil` if flannel would write no such name.
  let key: EtcdSubnetKey?
  /// `PublicIP` and `PublicIPv6`.
  let addresses: PerFamily<IPAddress>
  let backend: BackendRecord
  /// Reason why the record cannot be used, whatever its backend is.
  let problem: String?
  /// Name of the node: its address, since the record has no name.
  let nodeName: String
  let createRevision: Int64
  let modRevision: Int64
  /// 0 for a reservation, which never expires.
  let leaseID: Int64

  init(_ keyValue: EtcdKeyValue, name: String) {
    self.name = name
    key = EtcdSubnetKey(parsing: name)
    createRevision = keyValue.createRevision
    modRevision = keyValue.modRevision
    leaseID = keyValue.leaseID
    var reader = EtcdValue(keyValue.value)
    addresses = PerFamily(v4: reader.address("PublicIP", .v4), v6: reader.address("PublicIPv6", .v6))
    backend = BackendRecord(
      type: reader.string("BackendType") ?? "", data: reader.value("BackendData"),
      ipv6Data: reader.value("BackendV6Data"))
    nodeName = addresses.values.first?.description ?? name.quotable
    if let key {
      problem = key.problem ?? reader.problem
    } else {
      problem = "its key is not like 10.244.1.0-24 or 10.244.1.0-24&fd00:10:244:1::-64"
    }
  }

  func subnet(_ family: IPFamily) -> IPPrefix? {
    switch family {
    case .v4: key?.subnet
    case .v6: key?.ipv6Subnet
    }
  }

  /// Value of this node's record, as flannel writes it.
  static func value(_ addresses: [IPAddress], in backend: any ClusterBackend) throws -> String {
    let published = PerFamily(addresses) { $0.family }
    let own = BackendRecord(of: addresses, in: backend)
    var object: JSONObject = [
      // Flannel's decoder wants an address there in any case.
      "PublicIP": .string(published.v4?.description ?? "0.0.0.0"),
      "PublicIPv6": published.v6.map { .string("\($0)") } ?? .null, "BackendType": .string(own.type),
    ]
    object["BackendData"] = own.data.v4.map { .object($0) }
    object["BackendV6Data"] = own.data.v6.map { .object($0) }
    return try JSONValue.object(object).text()
  }

  /// Whether the record holds what `value` would write.
  func publishes(_ addresses: [IPAddress], in backend: any ClusterBackend) -> Bool {
    self.backend == BackendRecord(of: addresses, in: backend) && self.addresses == PerFamily(addresses) { $0.family }
  }

  /// Whether it is the record of the node with these addresses.
  func belongs(to own: [IPAddress]) -> Bool {
    // A node is known by its IPv4 address if it has one, as in flannel; else by its IPv6 address, even if its IPv4 address
    // is only absent for the moment.
    if let address = own.first(where: { $0.family == .v4 }) { return addresses.v4 == address }
    return addresses.v6.map(own.contains) ?? false
  }
}

extension BackendRecord {
  /// Record of this node, which etcd knows by its first address.
  fileprivate init(of addresses: [IPAddress], in backend: any ClusterBackend) {
    self.init(backend, node: addresses.first.map { "\($0)" } ?? "", families: addresses.map(\.family))
  }
}

/// Reads a record's value and keeps the first problem.
private struct EtcdValue {
  private let object: JSONObject
  private(set) var problem: String?

  init(_ text: [UInt8]) {
    do throws(JSONError) {
      object = try JSONFields(document: JSONValue(parsing: text), name: "its record").object
    } catch {
      object = JSONObject()
      problem = "its record is no JSON object: \("\(error)".quotable)"
    }
  }

  func value(_ name: String) -> JSONValue? { object[name] }

  mutating func string(_ name: String) -> String? {
    switch object[name] {
    case nil, .null: return nil
    case .string(let text): return text
    case .some(let other):
      problem = problem ?? "\(name) in its record is \(other.kind), but must be a string"
      return nil
    }
  }

  mutating func address(_ name: String, _ family: IPFamily) -> IPAddress? {
    guard let text = string(name), !text.isEmpty else { return nil }
    guard let address = IPAddress(text), address.family == family, address.isNodeAddress || address.isUnspecified
    else {
      problem = problem ?? "\(name) in its record is \"\(text.quotable)\", but must be a node's \(family) address"
      return nil
    }
    return address.isUnspecified ? nil : address
  }
}
