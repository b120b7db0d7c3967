internal import Addresses
internal import JSON
package import Nodes
internal import OwnNode

/// The backends of this program.
package enum BackendList {
  /// All of them, in the order of messages. A new backend is its folder and one line here.
  package static let all: [any BackendType.Type] = [HostGateway.self, VXLANConf.self, Alloc.self]

  /// Reader of the member `Backend` of a `net-conf.json`; its type matches in any case. Without it nodes are each other's
  /// gateways (flannel's own code would take udp).
  package static let reader = BackendReader { (netConf, families) throws(NetConfError) in try read(netConf, families) }

  private static func read(
    _ netConf: JSONFields, _ families: [IPFamily]
  ) throws(NetConfError) -> any ClusterBackend {
    guard let fields = try NetConf.reading({ () throws(JSONError) in try netConf.fields("Backend") }) else {
      return HostGateway()
    }
    let field = fields.path(of: "Type")
    guard let type = try NetConf.reading({ () throws(JSONError) in try fields.string("Type") }) else {
      throw .missing(field: field, remedy: "give \(names), or leave Backend out for \(HostGateway.name)")
    }
    guard let backend = all.first(where: { $0.name == type.lowercased() }) else {
      throw .invalid(field: field, value: "\"\(type)\"", expected: names)
    }
    return try backend.init(fields, families: families)
  }

  /// Names of all backends, for messages.
  private static var names: String {
    let names = all.map { "\"\($0.name)\"" }
    return "\(names.dropLast().joined(separator: ", ")) or \(names.last ?? ""), the backends that there are"
  }

  /// Backend that made the helper's devices and routes in the kernel.
  static func lastKnown(in state: NetworkState) -> LastKnownBackend {
    all.lazy.compactMap { $0.lastKnown(in: state) }.first ?? LastKnownBackend(HostGateway())
  }
}
