package import Addresses
package import JSON

/// Backend of a cluster with its configuration, as stores see it: they pass its data on and never read it.
package protocol ClusterBackend: Sendable, Equatable {
  /// Name in `net-conf.json`, in flannel's records and in annotations, in lower case.
  static var name: String { get }

  /// Owner of the routes to other nodes.
  var routesAreMadeBy: RouteOwner { get }

  /// Data that a node publishes of itself in a family (`BackendData`), derived from its name; `nil` for nothing.
  ///
  /// - Parameter node: the node's name in the snapshots of its store.
  func data(ofNode node: String, _ family: IPFamily) -> JSONObject?

  /// Reason why the data that another node publishes does not fit this backend; `nil` if it does.
  func problem(in data: JSONObject?, _ family: IPFamily) -> String?
}

/// Owner of the routes to other nodes.
package enum RouteOwner: Sendable {
  /// The helper, through the kernel.
  case helper
  /// Another program or the network itself, such as a cloud's route table.
  case others
}

extension ClusterBackend {
  package var routesAreMadeBy: RouteOwner { .helper }
  package func data(ofNode node: String, _ family: IPFamily) -> JSONObject? { nil }
  package func problem(in data: JSONObject?, _ family: IPFamily) -> String? { nil }

  /// Reason why a node with this record gets no route in a family; `nil` if it gets one.
  package func problem(of record: BackendRecord, _ family: IPFamily) -> String? {
    if routesAreMadeBy != .helper { return nil }
    switch record.type.lowercased() {
    case Self.name: return problem(in: record.data[family], family)
    case "":
      return "its record names no backend, as flannel's udp backend has it; only \(Self.name) can be reached"
    case let other: return "its backend is \(other), only \(Self.name) can be reached"
    }
  }

  fileprivate func isEqual(to other: any ClusterBackend) -> Bool { other as? Self == self }
}

/// Reader of the member `Backend` of a `net-conf.json`, which stores are given since they know no backend.
package struct BackendReader: Sendable {
  private let read: @Sendable (_ netConf: JSONFields, _ families: [IPFamily]) throws(NetConfError) -> any ClusterBackend

  package init(
    _ read:
      @escaping @Sendable (_ netConf: JSONFields, _ families: [IPFamily]) throws(NetConfError)
      -> any ClusterBackend
  ) {
    self.read = read
  }

  /// - Parameter families: those of the cluster.
  func backend(_ netConf: JSONFields, _ families: [IPFamily]) throws(NetConfError) -> any ClusterBackend {
    try read(netConf, families)
  }
}

extension NetConf: Equatable {
  package static func == (left: NetConf, right: NetConf) -> Bool {
    left.networks == right.networks && left.backend.isEqual(to: right.backend)
  }
}
