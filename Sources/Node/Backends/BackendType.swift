package import Addresses
package import JSON
package import Nodes
package import OwnNode

/// Kind of backend with its configuration: all that a backend is, from its name to what it needs in this node's kernel.
package protocol BackendType: ClusterBackend {
  /// Reads the members of `Backend` in a `net-conf.json`.
  init(_ fields: JSONFields, families: [IPFamily]) throws(NetConfError)

  /// Whether neighbours on the same layer-2 network are reached by another path than the other nodes.
  var distinguishesNeighbours: Bool { get }

  /// Whether no two nodes' routes need anything in common, so that a change of one node concerns no other's.
  var hasIndependentRoutes: Bool { get }

  /// Backend of this node.
  func backend(_ basis: BackendBasis) -> any Backend

  /// Backend as the kernel still has it; `nil` if nothing there is of this kind.
  static func lastKnown(in state: NetworkState) -> LastKnownBackend?
}

extension BackendType {
  package var distinguishesNeighbours: Bool { false }
  package var hasIndependentRoutes: Bool { false }
  package static func lastKnown(in state: NetworkState) -> LastKnownBackend? { nil }
}

extension NetConf {
  /// Backend as one of `BackendList.all`, by which all configurations are read.
  package var backendType: any BackendType { backend as? any BackendType ?? Alloc() }
}

/// Backend as read from the kernel, without a store.
package struct LastKnownBackend {
  /// Properties of a node that a route to it shows.
  package struct Peer {
    let address: IPAddress
    var data: JSONObject?
  }

  /// Backend that the kernel's devices and routes belong to.
  package let backend: any BackendType
  /// Properties of this node that its devices show (`BackendData`).
  var ownData = PerFamily<JSONObject>()
  /// Node behind a gateway, by the link of the route.
  var peer: (_ gateway: IPAddress, _ linkIndex: Int32?) -> Peer = { gateway, _ in Peer(address: gateway) }

  init(_ backend: any BackendType) { self.backend = backend }
}
