package import Addresses
package import JSON

/// The cluster's network as flannel's `net-conf.json` describes it: the address ranges and the backend. Keys match in any
/// case and unknown keys are ignored, as in flannel's decoder.
package struct NetConf: Sendable {
  /// One network of each family that is switched on, IPv4 first.
  package var networks: [IPPrefix]
  /// Backend of the cluster.
  package var backend: any ClusterBackend

  package init(networks: [IPPrefix], backend: any ClusterBackend) {
    self.networks = networks
    self.backend = backend
  }

  /// The cluster's network of a family, `nil` where the family is off.
  package func network(_ family: IPFamily) -> IPPrefix? {
    networks.first { $0.family == family }
  }

  /// The families that are switched on.
  package var families: [IPFamily] { networks.map(\.family) }
}

/// Reason why a `net-conf.json` cannot be used; fields are named by their paths.
package enum NetConfError: Error, Sendable, Equatable, CustomStringConvertible {
  case json(JSONError)
  case missing(field: String, remedy: String)
  case invalid(field: String, value: String, expected: String)

  package var description: String {
    switch self {
    case .json(let error): error.description
    case .missing(let field, let remedy): "\(field) is missing: \(remedy)"
    case .invalid(let field, let value, let expected): "\(field) is \(value), but must be \(expected)"
    }
  }
}

extension NetConf {
  /// Reads the object of a `net-conf.json`: IPv4 is on and IPv6 off unless the object says otherwise.
  package init(_ fields: JSONFields, _ backends: BackendReader) throws(NetConfError) {
    let usesIPv4 = try NetConf.reading { () throws(JSONError) in try fields.bool("EnableIPv4") } ?? true
    let usesIPv6 = try NetConf.reading { () throws(JSONError) in try fields.bool("EnableIPv6") } ?? false
    guard usesIPv4 || usesIPv6 else {
      throw .invalid(
        field: fields.path(of: "EnableIPv4"), value: "false", expected: "true where EnableIPv6 is not")
    }
    var networks: [IPPrefix] = []
    if usesIPv4 { networks.append(try NetConf.network(fields, "Network", .v4)) }
    if usesIPv6 { networks.append(try NetConf.network(fields, "IPv6Network", .v6)) }
    self.init(networks: networks, backend: try backends.backend(fields, networks.map(\.family)))
  }

  private static func network(
    _ fields: JSONFields, _ name: String, _ family: IPFamily
  ) throws(NetConfError) -> IPPrefix {
    let field = fields.path(of: name)
    let example = family == .v4 ? "\"10.244.0.0/16\"" : "\"fd00:10:244::/48\""
    guard let text = try reading({ () throws(JSONError) in try fields.string(name) }), !text.isEmpty else {
      throw .missing(
        field: field,
        remedy: "give the cluster's \(family) network, such as \(example), or set Enable\(family) to false")
    }
    guard let prefix = IPPrefix(text), prefix.family == family else {
      throw .invalid(field: field, value: "\"\(text)\"", expected: "an \(family) network such as \(example)")
    }
    // Host bits are cut off, as Go's net.ParseCIDR does for flannel.
    return prefix.network
  }

  /// Turns an error of the JSON reader into one of the configuration.
  package static func reading<Value>(
    _ body: () throws(JSONError) -> Value
  ) throws(NetConfError) -> Value {
    do throws(JSONError) { return try body() } catch { throw .json(error) }
  }
}
