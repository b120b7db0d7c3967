package import Addresses
internal import Netlink
package import Nodes
package import OwnNode

/// A way to reach other nodes' pods: what this node's kernel must have for it. It looks at values only and touches
/// nothing; the one pass over everything makes what it wants, repairs and removes it.
package protocol Backend: Sendable {
  /// The tunnel devices that this node needs.
  var devices: [TunnelDevice] { get }
  /// Why there can't be more of them, by their names.
  var obstacles: [String: String] { get }
  /// What pods may send in one packet, in bytes.
  var mtuBytes: Int { get }
  /// Whether routes are made at all, also those that shut this node's own subnets.
  var makesRoutes: Bool { get }

  /// How the pods of a node are reached in one family.
  func path(to node: Node, in subnet: IPPrefix, at address: IPAddress) -> PeerPath
}

extension Backend {
  var obstacles: [String: String] { [:] }
}

/// How a node's pods are reached in one family.
package enum PeerPath {
  /// By a route through the node's own address, which is a neighbour's on this link.
  case neighbour(link: String, index: Int32)
  case tunnel(Tunnel)
  /// Not at all, and why.
  case none(Unreachable)
}

/// Why no route leads to a node's pods in one family.
package enum Unreachable {
  /// The node's address is on none of our links; the reason.
  case offLink(String)
  /// The node's record lacks what this backend needs; the reason.
  case skipped(String)
  /// The backend makes no routes.
  case unrouted
}

/// The way to a node through a tunnel: a route by a gateway that is nowhere but in the tables of this node's device.
package struct Tunnel {
  package let device: String
  /// Stands for the other node's device.
  package let gateway: IPAddress
  /// That device's address.
  package let mac: MACAddress
  /// Where packets for it are sent: the other node's public address.
  let endpoint: IPAddress
  /// What the route says of its own MTU, where pods may send more.
  package var routeMTUBytes: UInt32?
  /// Why there is no plain route, where that would be the better way.
  package var reason: String?
}

/// What a backend is made of, beside its own configuration.
package struct BackendBasis {
  package let snapshot: NodeSnapshot
  package let own: LocalNode
  package let state: NetworkState
  package let adjacency: Adjacency
  /// Whether pods may send what the best path carries, and routes of worse paths say what those do.
  var hasMTUPerRoute = false

  package init(
    snapshot: NodeSnapshot, own: LocalNode, state: NetworkState, adjacency: Adjacency, hasMTUPerRoute: Bool = false
  ) {
    self.snapshot = snapshot
    self.own = own
    self.state = state
    self.adjacency = adjacency
    self.hasMTUPerRoute = hasMTUPerRoute
  }

  /// The backend of the cluster's network.
  package var backend: any Backend {
    switch snapshot.netConf.backend {
    case .hostGateway: HostGatewayBackend(self)
    case .vxlan(let conf): VXLANBackend(conf, self)
    case .alloc: AllocBackend(self)
    }
  }

  /// What the links carry that hold this node's public addresses, in bytes.
  var linkMTUBytes: Int { own.links.map(\.mtuBytes).min() ?? 1500 }
}
