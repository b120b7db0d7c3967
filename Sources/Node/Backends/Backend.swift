package import Addresses
package import Netlink
package import Nodes
package import OwnNode

/// Backend of this node: what its kernel must have so that other nodes' pods are reached. It computes with values only;
/// the pass over routes and devices makes, repairs and removes.
package protocol Backend: Sendable {
  /// Tunnel devices that this node needs.
  var devices: [TunnelDevice] { get }
  /// Reasons why devices cannot be made, by their names.
  var obstacles: [String: String] { get }
  /// MTU of pods, in bytes.
  var mtuBytes: Int { get }

  /// Path to the pods of a node in one family.
  func path(to node: Node, in subnet: IPPrefix, at address: IPAddress) -> PeerPath

  /// Whether a link is the tunnel that a device asks for, so that it need not be made anew.
  func isSameTunnel(_ link: Link, as device: TunnelDevice) -> Bool

  /// Whether a link without our mark was made by the helper: another end may have come between its making and its
  /// marking, or another program has removed the mark.
  func hasMade(_ link: Link, for device: TunnelDevice) -> Bool
}

extension Backend {
  var devices: [TunnelDevice] { [] }
  var obstacles: [String: String] { [:] }
  func isSameTunnel(_ link: Link, as device: TunnelDevice) -> Bool { link.tunnel == device.kind }
  func hasMade(_ link: Link, for device: TunnelDevice) -> Bool { false }
}

/// Path to a node's pods in one family.
package enum PeerPath {
  /// Route through the node's own address, which is a neighbour's on this link.
  case neighbour(link: String, index: Int32)
  case tunnel(Tunnel)
  /// No path, and why.
  case none(Unreachable)
}

/// Reason why no route leads to a node's pods in one family.
package enum Unreachable {
  /// The node's address is on none of our links; the reason.
  case offLink(String)
  /// The node's record lacks what this backend needs; the reason.
  case skipped(String)
  /// Others make the routes.
  case unrouted
}

/// Path to a node through a tunnel: a route by a gateway that only the entries of this node's device know.
package struct Tunnel {
  /// Name of this node's device.
  package let device: String
  /// Address that stands for the other node.
  package let gateway: IPAddress
  /// Reason why there is no route if another node asks for one of the same entries.
  package let conflict: String
  /// MTU of the route, if pods may send larger packets elsewhere.
  package let routeMTUBytes: UInt32?
  /// Reason why there is no plain route, if plain routes are preferred.
  package let reason: String?
  /// Entries that the device needs, by its index.
  let entries: (_ linkIndex: Int32) -> [DeviceEntry]

  init(
    device: String, gateway: IPAddress, conflict: String, routeMTUBytes: UInt32?, reason: String?,
    entries: @escaping (_ linkIndex: Int32) -> [DeviceEntry]
  ) {
    self.device = device
    self.gateway = gateway
    self.conflict = conflict
    self.routeMTUBytes = routeMTUBytes
    self.reason = reason
    self.entries = entries
  }
}

/// Input of a backend, beside its own configuration.
package struct BackendBasis {
  /// Nodes of the cluster and their network.
  package let snapshot: NodeSnapshot
  /// Node that this machine is.
  package let own: LocalNode
  /// State of this machine's network.
  package let state: NetworkState
  /// Check whether another node is a neighbour, and on which link.
  package let adjacency: Adjacency
  /// Whether pods get the MTU of the best path, and routes of other paths an MTU of their own.
  let hasMTUPerRoute: Bool

  package init(
    snapshot: NodeSnapshot, own: LocalNode, state: NetworkState, adjacency: Adjacency, hasMTUPerRoute: Bool = false
  ) {
    self.snapshot = snapshot
    self.own = own
    self.state = state
    self.adjacency = adjacency
    self.hasMTUPerRoute = hasMTUPerRoute
  }

  /// Backend of the cluster's network.
  package var backend: any Backend { snapshot.netConf.backendType.backend(self) }

  /// Smallest MTU of the links that hold this node's public addresses, in bytes.
  var linkMTUBytes: Int { own.links.map(\.mtuBytes).min() ?? 1500 }
}
