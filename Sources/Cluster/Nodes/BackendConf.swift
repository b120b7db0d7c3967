internal import Addresses
internal import JSON

/// How packets get from node to node, as `Backend` of `net-conf.json` has it.
package enum BackendConf: Sendable, Equatable {
  /// A plain route by the other node's address on the same layer-2 network.
  case hostGateway
  /// A tunnel through whatever network is between the nodes (RFC 7348).
  case vxlan(VXLANConf)
  /// Subnets only: packets are somebody else's business.
  case alloc

  /// What flannel calls it, in configuration, records and annotations.
  package var type: String {
    switch self {
    case .hostGateway: "host-gw"
    case .vxlan: "vxlan"
    case .alloc: "alloc"
    }
  }

  /// Whether nodes of the same layer-2 network are reached in another way than the rest.
  package var tellsNeighboursFromOthers: Bool {
    if case .vxlan(let conf) = self { conf.routesDirectly } else { false }
  }

  /// All that there are, for messages.
  private static let types = "\"host-gw\", \"vxlan\" or \"alloc\", the backends that there are"

  /// Reads the member `Backend` of a `net-conf.json`; its type matches in any case.
  init(_ fields: JSONFields, usesIPv6: Bool) throws(NetConfError) {
    guard let backend = try NetConf.reading({ () throws(JSONError) in try fields.fields("Backend") }) else {
      self = .hostGateway
      return
    }
    let field = backend.path(of: "Type")
    guard let type = try NetConf.reading({ () throws(JSONError) in try backend.string("Type") }) else {
      throw .missing(field: field, remedy: "give \(BackendConf.types), or leave Backend out for host-gw")
    }
    switch type.lowercased() {
    case "host-gw": self = .hostGateway
    case "vxlan": self = .vxlan(try VXLANConf(backend, usesIPv6: usesIPv6))
    case "alloc": self = .alloc
    default: throw .invalid(field: field, value: "\"\(type)\"", expected: BackendConf.types)
    }
  }
}
