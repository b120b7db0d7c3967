package import Addresses
internal import Backends
package import Netlink
package import Nodes
internal import NodeState
package import OwnNode

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
  /// What tunnels need on their devices, new or in place of something else.
  package private(set) var newNeighbours: [Step<StaticNeighbour>] = []
  package private(set) var newForwarding: [Step<ForwardingEntry>] = []
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
  package private(set) var staleNeighbours: [StaticNeighbour] = []
  package private(set) var staleForwarding: [ForwardingEntry] = []
  /// Tunnel devices that nobody wants.
  package private(set) var staleDevices: [Link] = []
  /// Routes that flannel left, that nobody wants and that stay.
  package private(set) var flannelsRoutes: [Route] = []

  /// Whether the kernel is as it must be.
  package var isEmpty: Bool {
    newNextHops.isEmpty && changedNextHops.isEmpty && newRoutes.isEmpty && changedRoutes.isEmpty
      && newBlackholes.isEmpty && changedBlackholes.isEmpty && staleRoutes.isEmpty && staleNextHops.isEmpty
      && newNeighbours.isEmpty && newForwarding.isEmpty && staleNeighbours.isEmpty && staleForwarding.isEmpty
      && staleDevices.isEmpty
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
    _ snapshot: NodeSnapshot, own: LocalNode, state: NetworkState, foreign: [Route] = [],
    guardsSubnets: Bool = false, takesOverFlannel: Bool = false
  ) {
    let basis = BackendBasis(
      snapshot: snapshot, own: own, state: state, adjacency: Adjacency(snapshot, own, state))
    let backend = basis.backend
    self.init(
      basis, backend, DevicePlan(backend, own, state, takesOverFlannel: takesOverFlannel), foreign: foreign,
      guardsSubnets: guardsSubnets, takesOverFlannel: takesOverFlannel)
  }

  /// The same with what follows from the state for all plans.
  init(
    _ basis: BackendBasis, _ backend: any Backend, _ devices: DevicePlan, foreign: [Route], guardsSubnets: Bool,
    takesOverFlannel: Bool
  ) {
    let (snapshot, own, state) = (basis.snapshot, basis.own, basis.state)
    let inTheWay = Dictionary(
      foreign.filter(\.hasDefaultMetric).map { ($0.destination, $0) }, uniquingKeysWith: { first, _ in first }
    )
    let flannels = FlannelRoutes(foreign, snapshot)
    var inUse: Set<Route> = []
    var numbers = state.nextHops.map { NextHopNumbers($0, usedBy: state.routes) }
    var actual = RoutesByDestination(state.routes)
    var entries = TunnelEntries(state)
    // Those of routes that stay as they are: with its next hop a route would go, too.
    var usedNextHops: Set<UInt32> = []
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
            let path = backend.path(to: node, in: subnet, at: gateway)
            var blocker: Blocker?
            if path.leadsThere, let route = inTheWay[subnet] {
              let isFlannels = flannels.routes.contains(route)
              if isFlannels { inUse.insert(route) }
              blocker =
                isFlannels && takesOverFlannel
                ? .replaceable : .stays(state.description(ofForeign: route, isFlannels: isFlannels))
            }
            switch path {
            case .none(.offLink(let reason)):
              let stays = own.problems[family] != nil && actual.has(subnet)
              peer.state = .offLink(reason + (stays ? "; the route that is there stays for now" : ""))
            case .none(.skipped(let reason)): peer.state = .skipped(reason)
            case .none(.unrouted): peer.state = .unrouted
            case .neighbour(let link, let index):
              (peer.link, peer.linkIndex) = (link, index)
              (peer.state, peer.nextHopID) = desire(
                subnet, via: gateway, on: index, actual: actual.take(subnet), blocker: blocker, numbers: &numbers)
            case .tunnel(let tunnel):
              (peer.link, peer.detour) = (tunnel.device, tunnel.reason)
              // Whatever is there stays until the device can be used.
              let present = actual.take(subnet)
              if devices.ready[tunnel.device] == nil { usedNextHops.formUnion(present.compactMap(\.nextHopID)) }
              peer.state = devices.obstacles[tunnel.device].map { .blocked($0) } ?? .missing
              if let device = devices.ready[tunnel.device] {
                peer.linkIndex = device.index
                peer.state = desire(
                  tunnel, to: subnet, on: device.index, actual: present, blocker: blocker, entries: &entries)
              }
            }
          }
        }
        peers.append(peer)
      }
    }
    if guardsSubnets, backend.makesRoutes {
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
    staleNextHops = (numbers?.rest ?? []).filter { !usedNextHops.contains($0.id) }
    let left = flannels.routes.subtracting(inUse).sorted { $0.destination.address < $1.destination.address }
    if takesOverFlannel { staleRoutes += left } else { flannelsRoutes = left }
    staleRoutes.removeAll { own.problems[$0.destination.family] != nil }
    staleNextHops.removeAll { own.problems[$0.gateway.family] != nil }
    staleNeighbours = entries.staleNeighbours.filter { own.problems[$0.address.family] == nil }
    staleForwarding = entries.staleForwarding.filter { own.problems[$0.destination.family] == nil }
    staleDevices = devices.stale
    // Those of a device that goes go with it, and what is wanted of one that can't be used yet nobody has asked.
    let passedOver = devices.waiting.union(staleDevices.map(\.index))
    staleNeighbours.removeAll { passedOver.contains($0.linkIndex) }
    staleForwarding.removeAll { passedOver.contains($0.linkIndex) }
  }

  /// Somebody else's route where one of ours must be.
  private enum Blocker {
    /// Flannel's, that is to be taken over.
    case replaceable
    /// Why there can't be one of ours.
    case stays(String)
  }

  /// The plan that leaves nothing of ours.
  package init(removing routes: [Route], _ nextHops: [NextHop], _ devices: [Link]) {
    staleRoutes = routes
    staleNextHops = nextHops
    staleDevices = devices
  }

  /// Compares the wanted route to a neighbour with what is there of ours to the same destination; also says by which next
  /// hop it goes.
  private mutating func desire(
    _ subnet: IPPrefix, via gateway: IPAddress, on linkIndex: Int32, actual: ArraySlice<Route>, blocker: Blocker?,
    numbers: inout NextHopNumbers?
  ) -> (PeerRoute.State, nextHopID: UInt32?) {
    if case .stays(let reason) = blocker, actual.isEmpty { return (.blocked(reason), nil) }
    let found = numbers?.take(gateway, on: linkIndex, for: subnet)
    let route =
      found.map { Route(subnet, nextHopID: $0.hop.id, owner: RouteProtocol.helper) }
      ?? Route(subnet, via: gateway, linkIndex: linkIndex, owner: RouteProtocol.helper)
    let state = place(route, actual: actual, blocker: blocker)
    if case .blocked = state { return (state, nil) }
    if state == .missing, actual.contains(where: \.hasDefaultMetric) {
      doubtfulNeighbours.append(Neighbour(gateway, linkIndex: linkIndex))
    }
    switch found {
    case .absent(let hop): newNextHops.append(Step(noun: hop, peer: peers.count))
    case .elsewhere(let hop):
      changedNextHops.append(Step(noun: hop, peer: peers.count))
      return (.missing, route.nextHopID)
    case .there, nil: break
    }
    return (state, route.nextHopID)
  }

  /// The same of a route through a tunnel, and of what the tunnel needs on its device.
  private mutating func desire(
    _ tunnel: Tunnel, to subnet: IPPrefix, on linkIndex: Int32, actual: ArraySlice<Route>, blocker: Blocker?,
    entries: inout TunnelEntries
  ) -> PeerRoute.State {
    if case .stays(let reason) = blocker, actual.isEmpty { return .blocked(reason) }
    guard let missing = entries.take(tunnel, on: linkIndex) else {
      staleRoutes += actual
      return .blocked("its VtepMAC \(tunnel.mac) is that of another node, too")
    }
    let route = Route(
      subnet, via: tunnel.gateway, linkIndex: linkIndex, owner: RouteProtocol.helper, mtuBytes: tunnel.routeMTUBytes,
      isOnLink: true)
    let state = place(route, actual: actual, blocker: blocker)
    if case .blocked = state { return state }
    newNeighbours += [missing.neighbour].compactMap { $0.map { Step(noun: $0, peer: peers.count) } }
    newForwarding += [missing.forwarding].compactMap { $0.map { Step(noun: $0, peer: peers.count) } }
    return missing.neighbour == nil && missing.forwarding == nil ? state : .missing
  }

  /// Puts a route among what is to be done, where it isn't there yet.
  private mutating func place(_ route: Route, actual: ArraySlice<Route>, blocker: Blocker?) -> PeerRoute.State {
    let peer = peers.count
    if let fitting = actual.firstIndex(where: { $0.stands(for: route) }) {
      staleRoutes += actual.indices.filter { $0 != fitting }.map { actual[$0] }
      return .installed
    }
    if case .stays(let reason) = blocker {
      staleRoutes += actual
      return .blocked(reason)
    }
    // The kernel replaces the one of the same metric; whatever else of ours goes there is left over.
    if let replaced = actual.firstIndex(where: \.hasDefaultMetric) {
      changedRoutes.append(Step(noun: route, peer: peer))
      staleRoutes += actual.indices.filter { $0 != replaced }.map { actual[$0] }
    } else if case .replaceable = blocker {
      changedRoutes.append(Step(noun: route, peer: peer))
      staleRoutes += actual
    } else {
      newRoutes.append(Step(noun: route, peer: peer))
      staleRoutes += actual
    }
    return .missing
  }
}

extension PeerPath {
  /// Whether there shall be a route.
  fileprivate var leadsThere: Bool {
    if case .none = self { false } else { true }
  }
}
