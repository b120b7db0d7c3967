internal import Addresses
internal import JSON
internal import Linux
internal import Nodes

/// A node's lease as it stands under `subnets/`, flannel's or ours.
struct EtcdRecord: Sendable, Equatable {
  /// The key behind `subnets/`, as it stands there.
  let name: String
  /// `nil` where the name is none that flannel would write.
  let key: EtcdSubnetKey?
  let publicIP: IPAddress?
  let publicIPv6: IPAddress?
  let backend: NodeBackend
  /// Beside its backend: why there can be no route to it, whatever else holds: one bad record harms nobody else.
  let problem: String?
  /// What the node is called, since the record has no name: its address.
  let nodeName: String
  let createRevision: Int64
  let modRevision: Int64
  /// 0: a reservation, which stays for ever.
  let leaseID: Int64

  init(_ keyValue: EtcdKeyValue, name: String) {
    self.name = name
    key = EtcdSubnetKey(parsing: name)
    createRevision = keyValue.createRevision
    modRevision = keyValue.modRevision
    leaseID = keyValue.leaseID
    var reader = EtcdValue(keyValue.value)
    publicIP = reader.address("PublicIP", .v4)
    publicIPv6 = reader.address("PublicIPv6", .v6)
    backend = NodeBackend(
      type: reader.string("BackendType") ?? "", data: reader.value("BackendData"),
      ipv6Data: reader.value("BackendV6Data"))
    nodeName = (publicIP ?? publicIPv6)?.description ?? name.quotable
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

  func address(_ family: IPFamily) -> IPAddress? {
    switch family {
    case .v4: publicIP
    case .v6: publicIPv6
    }
  }

  /// The value of a node's record as flannel writes it.
  static func value(_ addresses: [IPAddress], in backend: BackendConf) throws -> String {
    let publicIP = addresses.first { $0.family == .v4 }?.description
    let publicIPv6 = addresses.first { $0.family == .v6 }?.description
    let own = NodeBackend(telling: addresses, in: backend)
    var object: JSONObject = [
      // Flannel's decoder wants an address there in any case.
      "PublicIP": .string(publicIP ?? "0.0.0.0"), "PublicIPv6": publicIPv6.map { .string($0) } ?? .null,
      "BackendType": .string(own.type),
    ]
    object["BackendData"] = own.data(.v4)
    object["BackendV6Data"] = own.data(.v6)
    return try JSONValue.object(object).text()
  }

  /// Whether the record says what `value` would write.
  func tells(_ addresses: [IPAddress], in backend: BackendConf) -> Bool {
    self.backend == NodeBackend(telling: addresses, in: backend) && publicIP == addresses.first { $0.family == .v4 }
      && publicIPv6 == addresses.first { $0.family == .v6 }
  }

  /// Whether it is the record of the node with these addresses.
  func belongs(to addresses: [IPAddress]) -> Bool {
    // A node is known by its IPv4 address where it has one, as flannel has it; else by the other one, also where its
    // IPv4 address is gone for the moment only.
    if let address = addresses.first(where: { $0.family == .v4 }) { return publicIP == address }
    return publicIPv6 != nil && addresses.contains { $0 == publicIPv6 }
  }
}

extension NodeBackend {
  /// What this node says, being known by its addresses.
  fileprivate init(telling addresses: [IPAddress], in backend: BackendConf) {
    self.init(backend, node: addresses.first.map { "\($0)" } ?? "", families: addresses.map(\.family))
  }
}

/// Reads a record's value; the first thing that is wrong is kept.
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
    guard let address = IPAddress(text), address.family == family, !address.isLoopback, !address.isMulticast,
      family == .v4 || !address.isLinkLocal
    else {
      problem = problem ?? "\(name) in its record is \"\(text.quotable)\", but must be a node's \(family) address"
      return nil
    }
    return address.isUnspecified ? nil : address
  }
}
