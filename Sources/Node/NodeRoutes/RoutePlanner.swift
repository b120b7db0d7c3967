internal import Addresses
internal import Backends
internal import Netlink
internal import NodeState
internal import OwnNode

/// Compares the routes that this node should have with those that the kernel has, one peer at a time.
struct RoutePlanner {
  private let demand: RouteDemand
  private var plan = RoutePlan()
  private var numbers: NextHopNumbers?
  private var actual: RoutesByDestination
  private var entries: TunnelEntries
  /// Routes of others that block ours, by destination.
  private let inTheWay: [IPPrefix: Route]
  private let flannels: FlannelRoutes
  /// Routes of flannel's that lead where one of ours should.
  private var flannelsInUse: Set<Route> = []
  /// Next hops of routes that stay as they are: the kernel would remove the routes with them.
  private var usedNextHops: Set<UInt32> = []

  init(_ demand: RouteDemand, foreign: [Route]) {
    let state = demand.basis.state
    self.demand = demand
    inTheWay = Dictionary(
      foreign.filter(\.hasDefaultMetric).map { ($0.destination, $0) }, uniquingKeysWith: { first, _ in first })
    flannels = FlannelRoutes(foreign, demand.basis.snapshot)
    numbers = state.nextHops.map { NextHopNumbers($0, usedBy: state.routes) }
    actual = RoutesByDestination(state.routes)
    entries = TunnelEntries(state)
    plan.peers.reserveCapacity(demand.peers.count)
  }

  /// Another program's route with the destination and metric of one of ours.
  private enum Blocker {
    /// Flannel's route, which is taken over.
    case replaceable
    /// Reason why there cannot be one of ours.
    case stays(String)
  }

  /// Plans the route to one peer.
  mutating func add(_ demanded: RouteDemand.Peer) {
    var peer = demanded.route
    if let subnet = peer.subnet, let gateway = peer.gateway, let path = demanded.path {
      switch path {
      case .none(.offLink(let reason)):
        let stays = demand.basis.own.problems[peer.family] != nil && actual.has(subnet)
        peer.state = .offLink(reason + (stays ? "; the route that is there stays for now" : ""))
      case .none(.skipped(let reason)): peer.state = .skipped(reason)
      case .none(.unrouted): peer.state = .unrouted
      case .neighbour(let link, let index):
        (peer.link, peer.linkIndex) = (link, index)
        (peer.state, peer.nextHopID) = route(to: subnet, via: gateway, on: index)
      case .tunnel(let tunnel):
        (peer.link, peer.detour) = (tunnel.device, tunnel.reason)
        peer.linkIndex = demand.devices.ready[tunnel.device]?.index
        peer.state = route(to: subnet, through: tunnel)
      }
    }
    plan.peers.append(peer)
  }

  private mutating func blocker(_ subnet: IPPrefix) -> Blocker? {
    guard let route = inTheWay[subnet] else { return nil }
    let isFlannels = flannels.routes.contains(route)
    if isFlannels { flannelsInUse.insert(route) }
    if isFlannels && demand.takesOverFlannel { return .replaceable }
    return .stays(demand.basis.state.description(ofForeign: route, isFlannels: isFlannels))
  }

  /// Plans a route to a neighbour; also returns its next hop.
  private mutating func route(
    to subnet: IPPrefix, via gateway: IPAddress, on linkIndex: Int32
  ) -> (PeerRoute.State, nextHopID: UInt32?) {
    let blocker = blocker(subnet)
    let present = actual.take(subnet)
    if case .stays(let reason) = blocker, present.isEmpty { return (.blocked(reason), nil) }
    let found = numbers?.take(gateway, on: linkIndex, for: subnet)
    let route =
      found.map { Route(subnet, nextHopID: $0.hop.id, owner: RouteProtocol.helper) }
      ?? Route(subnet, via: gateway, linkIndex: linkIndex, owner: RouteProtocol.helper)
    let state = place(route, present, blocker)
    if case .blocked = state { return (state, nil) }
    if state == .missing, present.contains(where: \.hasDefaultMetric) {
      plan.doubtfulNeighbours.append(Neighbour(gateway, linkIndex: linkIndex))
    }
    switch found {
    case .absent(let hop): plan.newNextHops.append(step(hop))
    case .elsewhere(let hop):
      plan.changedNextHops.append(step(hop))
      return (.missing, route.nextHopID)
    case .there, nil: break
    }
    return (state, route.nextHopID)
  }

  /// Plans a route through a tunnel together with the entries that it needs. Present routes stay until the device can be
  /// used.
  private mutating func route(to subnet: IPPrefix, through tunnel: Tunnel) -> PeerRoute.State {
    let blocker = blocker(subnet)
    let present = actual.take(subnet)
    guard let device = demand.devices.ready[tunnel.device] else {
      usedNextHops.formUnion(present.compactMap(\.nextHopID))
      return demand.devices.obstacles[tunnel.device].map { .blocked($0) } ?? .missing
    }
    if case .stays(let reason) = blocker, present.isEmpty { return .blocked(reason) }
    guard let missing = entries.take(tunnel, on: device.index) else {
      plan.staleRoutes += present
      return .blocked(tunnel.conflict)
    }
    let route = Route(
      subnet, via: tunnel.gateway, linkIndex: device.index, owner: RouteProtocol.helper,
      mtuBytes: tunnel.routeMTUBytes, isOnLink: true)
    let state = place(route, present, blocker)
    if case .blocked = state { return state }
    plan.newEntries += missing.map(step)
    return missing.isEmpty ? state : .missing
  }

  /// Adds a route to the plan unless it is among those present; others of ours to the same destination are stale.
  private mutating func place(_ route: Route, _ present: ArraySlice<Route>, _ blocker: Blocker?) -> PeerRoute.State {
    if let fitting = present.firstIndex(where: { $0.stands(for: route) }) {
      plan.staleRoutes += present.indices.filter { $0 != fitting }.map { present[$0] }
      return .installed
    }
    if case .stays(let reason) = blocker {
      plan.staleRoutes += present
      return .blocked(reason)
    }
    // The kernel replaces the route of the same metric.
    if let replaced = present.firstIndex(where: \.hasDefaultMetric) {
      plan.changedRoutes.append(step(route))
      plan.staleRoutes += present.indices.filter { $0 != replaced }.map { present[$0] }
      return .missing
    }
    if case .replaceable = blocker {
      plan.changedRoutes.append(step(route))
    } else {
      plan.newRoutes.append(step(route))
    }
    plan.staleRoutes += present
    return .missing
  }

  /// A step for the peer that is added next.
  private func step<Noun>(_ noun: Noun) -> RoutePlan.Step<Noun> { RoutePlan.Step(noun: noun, peer: plan.peers.count) }

  /// Plans the blackhole of one of this node's own subnets.
  mutating func shut(_ subnet: IPPrefix) {
    let blackhole = Route.blackhole(subnet)
    var present = actual.take(subnet)
    if let fitting = present.firstIndex(where: \.isLastBlackhole) {
      present.remove(at: fitting)
    } else if demand.takesOverFlannel, let old = flannels.routes.first(where: { $0.isInPlace(of: blackhole) }) {
      plan.changedBlackholes.append(blackhole)
      flannelsInUse.insert(old)
    } else {
      plan.newBlackholes.append(blackhole)
    }
    plan.staleRoutes += present
  }

  /// Returns the plan with all stale objects. A family whose own address is absent for the moment stays as it is.
  mutating func finish() -> RoutePlan {
    let isUncertain = { [problems = demand.basis.own.problems] (family: IPFamily) in problems[family] != nil }
    plan.staleRoutes += actual.rest.sorted { $0.destination.address < $1.destination.address }
    let left = flannels.routes.subtracting(flannelsInUse).sorted { $0.destination.address < $1.destination.address }
    if demand.takesOverFlannel { plan.staleRoutes += left } else { plan.flannelsRoutes = left }
    plan.staleRoutes.removeAll { isUncertain($0.destination.family) }
    plan.staleNextHops = (numbers?.rest ?? []).filter {
      !usedNextHops.contains($0.id) && !isUncertain($0.gateway.family)
    }
    plan.staleDevices = demand.devices.stale
    // Entries of a stale device are removed with it; entries of one that cannot be used yet were not asked for.
    let passedOver = demand.devices.waiting.union(plan.staleDevices.map(\.index))
    plan.staleEntries = entries.stale.filter {
      !passedOver.contains($0.linkIndex) && !isUncertain($0.address.family)
    }
    return plan
  }
}
