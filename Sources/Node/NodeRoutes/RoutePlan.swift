package import Addresses
internal import Backends
package import Netlink
package import Nodes
package import OwnNode

/// Difference between the kernel's routes and those that the nodes ask for: every node that can be reached gets its route,
/// and nothing of ours is left over.
package struct RoutePlan: Sendable, Equatable {
  /// Something to install, and for whom.
  package struct Step<Noun: Sendable & Equatable>: Sendable, Equatable {
    /// Object to install: a next hop, a route or an entry.
    package let noun: Noun
    /// Position in `peers`.
    package let peer: Int
  }

  /// Every other node in every family of this node, in the order of the nodes.
  package internal(set) var peers: [PeerRoute] = []
  /// Next hops to add or replace.
  package internal(set) var newNextHops: [Step<NextHop>] = []
  /// Next hops that are on another link than they should be.
  package internal(set) var changedNextHops: [Step<NextHop>] = []
  /// Entries of tunnel devices, new or in place of others.
  package internal(set) var newEntries: [Step<DeviceEntry>] = []
  /// Routes to add or replace.
  package internal(set) var newRoutes: [Step<Route>] = []
  /// Routes that replace one by another gateway.
  package internal(set) var changedRoutes: [Step<Route>] = []
  /// Gateways of replaced routes. A node that moved may have taken another node's address, so that the hardware address
  /// that is known may be the other's.
  package internal(set) var doubtfulNeighbours: [Neighbour] = []
  /// Blackholes of this node's own subnets, for addresses that no pod has.
  package internal(set) var newBlackholes: [Route] = []
  /// Blackholes that replace flannel's.
  package internal(set) var changedBlackholes: [Route] = []
  /// Routes to remove.
  package internal(set) var staleRoutes: [Route] = []
  /// Next hops to remove.
  package internal(set) var staleNextHops: [NextHop] = []
  /// Entries of tunnel devices to remove.
  package internal(set) var staleEntries: [DeviceEntry] = []
  /// Tunnel devices that the backend does not need.
  package internal(set) var staleDevices: [Link] = []
  /// Routes that flannel left, that this node does not need and that stay.
  package internal(set) var flannelsRoutes: [Route] = []

  init() {}

  /// Whether the kernel needs no change.
  package var isEmpty: Bool {
    newNextHops.isEmpty && changedNextHops.isEmpty && newRoutes.isEmpty && changedRoutes.isEmpty
      && newBlackholes.isEmpty && changedBlackholes.isEmpty && staleRoutes.isEmpty && staleNextHops.isEmpty
      && newEntries.isEmpty && staleEntries.isEmpty && staleDevices.isEmpty
  }

  /// Destinations of the routes that are added or replaced.
  package var wantedDestinations: Set<IPPrefix> {
    Set((newRoutes + changedRoutes).map(\.noun.destination))
  }

  /// Plans from a snapshot and the kernel's state alone.
  ///
  /// - Parameters:
  ///   - own: this node, which gets no route.
  ///   - foreign: routes of others in the main table. One with the destination and metric of a wanted route blocks it.
  ///   - guardsSubnets: whether this node's own subnets get a blackhole route.
  ///   - takesOverFlannel: whether flannel's routes among `foreign` are replaced or removed.
  package init(
    _ snapshot: NodeSnapshot, own: LocalNode, state: NetworkState, foreign: [Route] = [],
    guardsSubnets: Bool = false, takesOverFlannel: Bool = false
  ) {
    let basis = BackendBasis(
      snapshot: snapshot, own: own, state: state, adjacency: Adjacency(snapshot, own, state))
    let backend = basis.backend
    let demand = RouteDemand(
      basis, backend, devices: DevicePlan(backend, own, state, takesOverFlannel: takesOverFlannel),
      guardsSubnets: guardsSubnets, takesOverFlannel: takesOverFlannel)
    self = demand.plan(foreign: foreign)
  }

  /// Plan that removes everything of ours.
  package init(removing routes: [Route], _ nextHops: [NextHop], _ devices: [Link]) {
    staleRoutes = routes
    staleNextHops = nextHops
    staleDevices = devices
  }
}
