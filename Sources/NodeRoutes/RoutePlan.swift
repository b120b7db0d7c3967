package import Addresses
internal import Lease
package import Netlink

/// What must change in the kernel so that every node that can be reached by a plain route is, and nothing of ours is
/// left over: the difference between what the nodes ask for and what is there.
package struct RoutePlan: Sendable, Equatable {
  /// Something to put in place, and for whom.
  package struct Step<Noun: Sendable & Equatable>: Sendable, Equatable {
    package let noun: Noun
    /// The position in `peers`.
    package let peer: Int
  }

  /// Every other node in every family that this node takes part in, in the order of the nodes.
  package private(set) var peers: [PeerRoute] = []
  package private(set) var newNextHops: [Step<NextHop>] = []
  /// On another link than they must be.
  package private(set) var changedNextHops: [Step<NextHop>] = []
  package private(set) var newRoutes: [Step<Route>] = []
  /// Ours, by another gateway than they must be.
  package private(set) var changedRoutes: [Step<Route>] = []
  /// The gateways of those. A node that moved may have taken the address of another one, so that what is known of its
  /// hardware address may be the other's.
  package private(set) var doubtfulNeighbours: [Neighbour] = []
  /// What shuts this node's own subnets for addresses that no pod has.
  package private(set) var newBlackholes: [Route] = []
  /// The same in place of flannel's.
  package private(set) var changedBlackholes: [Route] = []
  package private(set) var staleRoutes: [Route] = []
  package private(set) var staleNextHops: [NextHop] = []
  /// Routes that flannel left, that nobody wants and that stay.
  package private(set) var flannelsRoutes: [Route] = []

  /// Whether the kernel is as it must be.
  package var isEmpty: Bool {
    newNextHops.isEmpty && changedNextHops.isEmpty && newRoutes.isEmpty && changedRoutes.isEmpty
      && newBlackholes.isEmpty && changedBlackholes.isEmpty && staleRoutes.isEmpty && staleNextHops.isEmpty
  }

  /// The destinations of routes that are to be put in place.
  package var wantedDestinations: Set<IPPrefix> {
    Set((newRoutes + changedRoutes).map(\.noun.destination))
  }

  /// - Parameters:
  ///   - own: this node, which gets no route.
  ///   - foreign: routes of others in the main table; where one has the destination and metric of a wanted route,
  ///     that route is blocked.
  ///   - guardsSubnets: whether this node's own subnets get a blackhole route.
  ///   - takesOverFlannel: whether what flannel left among `foreign` is replaced or removed.
  package init(
    _ snapshot: NodeSnapshot, own: OwnNode, state: NetworkState, foreign: [Route] = [],
    guardsSubnets: Bool = false, takesOverFlannel: Bool = false
  ) {
    self.init(
      snapshot, own: own, state: state, adjacency: Adjacency(snapshot, own, state), foreign: foreign,
      guardsSubnets: guardsSubnets, takesOverFlannel: takesOverFlannel)
  }

  /// The same with what follows from the state for all plans.
  init(
    _ snapshot: NodeSnapshot, own: OwnNode, state: NetworkState, adjacency: Adjacency, foreign: [Route],
    guardsSubnets: Bool, takesOverFlannel: Bool
  ) {
    let inTheWay = Dictionary(
      foreign.filter(\.hasDefaultMetric).map { ($0.destination, $0) }, uniquingKeysWith: { first, _ in first }
    )
    let flannels = FlannelRoutes(foreign, snapshot)
    var inUse: Set<Route> = []
    var numbers = state.nextHops.map { NextHopNumbers($0, usedBy: state.routes) }
    var actual = RoutesByDestination(state.routes)
    let families = own.families(of: snapshot.netConf)
    for node in snapshot.nodes where node.name != own.node.name {
      for family in families {
        var peer = PeerRoute(
          node: node.name, family: family, subnet: node.subnet(family), gateway: node.address(family),
          link: nil,
          state: .noSubnet)
        if let obstacle = node.obstacle(family) {
          peer.state = .skipped(obstacle)
        } else if let subnet = peer.subnet {
          peer.state = .noAddress
          if let gateway = peer.gateway {
            switch adjacency.link(to: gateway) {
            case .failure(let offLink):
              let stays = own.problems[family] != nil && actual.has(subnet)
              peer.state = .offLink(offLink.reason + (stays ? "; the route that is there stays for now" : ""))
            case .success(let link):
              peer.link = link.name
              peer.linkIndex = link.index
              var blocker: Blocker?
              if let route = inTheWay[subnet] {
                let isFlannels = flannels.routes.contains(route)
                if isFlannels { inUse.insert(route) }
                blocker =
                  isFlannels && takesOverFlannel
                  ? .replaceable : .stays(state.description(ofForeign: route, isFlannels: isFlannels))
              }
              (peer.state, peer.nextHopID) = desire(
                subnet, via: gateway, on: link.index, actual: actual.take(subnet), blocker: blocker, numbers: &numbers)
            }
          }
        }
        peers.append(peer)
      }
    }
    if guardsSubnets {
      for subnet in families.compactMap(own.node.subnet) {
        let blackhole = Route.blackhole(subnet)
        var present = actual.take(subnet)
        if let fitting = present.firstIndex(where: \.isLastBlackhole) {
          present.remove(at: fitting)
        } else if takesOverFlannel, let old = flannels.routes.first(where: { $0.isInPlace(of: blackhole) }) {
          changedBlackholes.append(blackhole)
          inUse.insert(old)
        } else {
          newBlackholes.append(blackhole)
        }
        staleRoutes += present
      }
    }
    staleRoutes += actual.rest.sorted { $0.destination.address < $1.destination.address }
    staleNextHops = numbers?.rest ?? []
    let left = flannels.routes.subtracting(inUse).sorted { $0.destination.address < $1.destination.address }
    if takesOverFlannel { staleRoutes += left } else { flannelsRoutes = left }
    staleRoutes.removeAll { own.problems[$0.destination.family] != nil }
    staleNextHops.removeAll { own.problems[$0.gateway.family] != nil }
  }

  /// Somebody else's route where one of ours must be.
  private enum Blocker {
    /// Flannel's, that is to be taken over.
    case replaceable
    /// Why there can't be one of ours.
    case stays(String)
  }

  /// The plan that leaves nothing of ours.
  package init(removing routes: [Route], _ nextHops: [NextHop]) {
    staleRoutes = routes
    staleNextHops = nextHops
  }

  /// Compares one wanted route with what is there of ours to the same destination; also says by which next hop it goes.
  private mutating func desire(
    _ subnet: IPPrefix, via gateway: IPAddress, on linkIndex: Int32, actual: ArraySlice<Route>, blocker: Blocker?,
    numbers: inout NextHopNumbers?
  ) -> (PeerRoute.State, nextHopID: UInt32?) {
    if case .stays(let reason) = blocker, actual.isEmpty { return (.blocked(reason), nil) }
    let peer = peers.count
    let found = numbers?.take(gateway, on: linkIndex, for: subnet)
    let route =
      found.map { Route(subnet, nextHopID: $0.hop.id, owner: NetworkState.owner) }
      ?? Route(subnet, via: gateway, linkIndex: linkIndex, owner: NetworkState.owner)
    let fitting = actual.firstIndex { $0.stands(for: route) }
    if fitting == nil, case .stays(let reason) = blocker {
      staleRoutes += actual
      return (.blocked(reason), nil)
    }
    switch found {
    case .absent(let hop): newNextHops.append(Step(noun: hop, peer: peer))
    case .elsewhere(let hop): changedNextHops.append(Step(noun: hop, peer: peer))
    case .there, nil: break
    }
    if let fitting {
      staleRoutes += actual.indices.filter { $0 != fitting }.map { actual[$0] }
      if case .elsewhere = found { return (.missing, route.nextHopID) }
      return (.installed, route.nextHopID)
    }
    // The kernel replaces the one of the same metric; whatever else of ours goes there is left over.
    if let replaced = actual.firstIndex(where: \.hasDefaultMetric) {
      changedRoutes.append(Step(noun: route, peer: peer))
      doubtfulNeighbours.append(Neighbour(gateway, linkIndex: linkIndex))
      staleRoutes += actual.indices.filter { $0 != replaced }.map { actual[$0] }
    } else if case .replaceable = blocker {
      changedRoutes.append(Step(noun: route, peer: peer))
      staleRoutes += actual
    } else {
      newRoutes.append(Step(noun: route, peer: peer))
      staleRoutes += actual
    }
    return (.missing, route.nextHopID)
  }
}
