internal import Addresses
internal import Backends
internal import Linux
internal import Netlink
package import Nodes
package import NodeState
package import OwnNode
package import Parts

/// Makes the kernel's routes what the nodes ask for. Start, repair, a node's removal and restart are all
/// this one pass: what is marked as ours in the kernel is the only state.
package struct Reconciler: Sendable {
  private let selection: NodeSelection
  private let switches: RouteSwitches

  /// `nlmsg_pid` of the sockets by which this process changes routes, so that its own changes start no new pass. It is far
  /// from the numbers that the kernel gives out, which are process numbers and negative ones.
  package static let port = 0x4A00_0000 | UInt32(truncatingIfNeeded: CurrentProcess.identifier)

  package init(selection: NodeSelection, switches: RouteSwitches) {
    self.selection = selection
    self.switches = switches
  }

  /// Result of a pass: its findings and its actions.
  package struct Report: Sendable {
    /// Node that this machine is.
    package let own: LocalNode
    /// States of the routes to other nodes.
    package fileprivate(set) var peers: [PeerRoute]
    /// The lease of this node's subnets; `nil` if it has none.
    package let lease: SubnetLease?
    /// Changes that the pass made, in order.
    package fileprivate(set) var changes: [RouteChange]
    /// Findings about this node itself, and what is left of flannel's routes. The peers' states are not among them.
    package let ownFindings: [Finding]
    /// Time of the last search for flannel's routes (`MonotonicTime`).
    var lastSearch: Duration
    /// Whether the nodes were the same as in the pass before, so that every change was a repair.
    var isRepair = false
    /// Input of the pass.
    var basis: Basis

    /// The cluster's backend, as flannel calls it.
    package var backend: String { type(of: basis.snapshot.netConf.backend).name }

    /// Findings about this node itself.
    package var problems: [String] { ownFindings.faults }

    /// The nodes that the pass was made of.
    package var nodes: NodeSnapshot { basis.snapshot }

    /// Whether every wanted route is in the kernel and nothing of ours is left over.
    package var isSettled: Bool { problems.isEmpty && peers.allSatisfy(\.isSettled) }
  }

  /// The nodes of a pass, and what it knew of the kernel beside the peers' routes.
  struct Basis: Sendable {
    var snapshot: NodeSnapshot
    let adjacency: Adjacency
    /// The numbers of all next hops; `nil` where the kernel has none.
    var takenNumbers: Set<UInt32>?
  }

  /// One pass in the calling thread's network namespace; it blocks.
  ///
  /// - Parameters:
  ///   - known: the report of the pass before.
  ///   - searchesLeftovers: whether to search what flannel left; else the result in `known` still counts.
  package func reconcile(
    _ snapshot: NodeSnapshot, since known: Report? = nil, searchesLeftovers: Bool = true
  ) throws -> Report {
    var socket = try RouteSocket(port: Reconciler.port)
    let searches = known == nil || searchesLeftovers
    var look = try look(snapshot, &socket, forFlannelsRoutes: searches)
    // Routes need their devices, and what a device has is seen when it is there.
    let devices = socket.repair(look.devices.repairs)
    if !devices.changes.isEmpty { look = try self.look(snapshot, &socket, forFlannelsRoutes: searches) }
    var outcome = look.plan.isEmpty ? PlanOutcome(peers: look.plan.peers) : try socket.apply(look.plan)
    outcome.changes = devices.changes + outcome.changes
    outcome.failures = devices.failures + outcome.failures
    let leftovers = searches ? look.plan.leftovers : known?.ownFindings.filter { $0.severity == .warning } ?? []
    return Report(
      own: look.own, peers: outcome.peers, lease: lease(look), changes: outcome.changes,
      ownFindings: look.problems + outcome.failures.map { .routeRefused($0.description) } + leftovers,
      lastSearch: (searches ? nil : known?.lastSearch) ?? MonotonicTime.now, basis: look.basis(look.plan))
  }

  /// Makes a pass after a change of nodes only, while nothing has changed in the kernel: its cost grows with the change and
  /// not with the cluster. If other things have changed too, it is a whole pass.
  package func follow(_ snapshot: NodeSnapshot, since known: Report) throws -> Report {
    guard let part = known.part(changedIn: snapshot) else {
      return try reconcile(snapshot, since: known, searchesLeftovers: false)
    }
    var socket = try RouteSocket(port: Reconciler.port)
    let basis = BackendBasis(
      snapshot: part.snapshot, own: known.own, state: part.state, adjacency: known.basis.adjacency)
    let backend = basis.backend
    let plan = RouteDemand(
      basis, backend, devices: DevicePlan(backend, known.own, part.state, takesOverFlannel: false),
      guardsSubnets: false, takesOverFlannel: false
    ).plan(foreign: [])
    guard try socket.routesInTheWay(of: plan).isEmpty else {
      return try reconcile(snapshot, since: known, searchesLeftovers: false)
    }
    let outcome = try socket.apply(plan)
    guard outcome.isComplete else { return try reconcile(snapshot, since: known, searchesLeftovers: false) }
    var report = known
    report.peers.replaceSubrange(part.peers, with: outcome.peers)
    report.changes = outcome.changes
    report.basis.snapshot = snapshot
    report.basis.takenNumbers?.formUnion(plan.newNextHops.map(\.noun.id))
    report.basis.takenNumbers?.subtract(plan.staleNextHops.map(\.id))
    return report
  }

  /// Returns the report that a pass would have, and changes nothing.
  package func inspect(_ snapshot: NodeSnapshot) throws -> Report {
    var socket = try RouteSocket()
    let look = try look(snapshot, &socket, forFlannelsRoutes: true)
    return Report(
      own: look.own, peers: look.plan.peers, lease: lease(look), changes: [],
      ownFindings: look.problems + look.plan.leftovers, lastSearch: MonotonicTime.now, basis: look.basis(nil))
  }

  private func lease(_ look: Look) -> SubnetLease? {
    look.own.lease(
      networks: look.snapshot.netConf.networks, masquerades: switches.masquerades,
      mtuBytes: look.snapshot.mtuBytes ?? look.mtuBytes)
  }

  /// What was seen, and what follows from it.
  private struct Look {
    let snapshot: NodeSnapshot
    let own: LocalNode
    let adjacency: Adjacency
    let devices: DevicePlan
    let plan: RoutePlan
    let nextHops: NextHopTable?
    /// What the backend leaves to pods in one packet.
    let mtuBytes: Int

    /// Findings about this node itself.
    var problems: [Finding] {
      own.problemList.map { .ownNode($0) } + devices.problems.map { .tunnelDevice($0) }
    }

    /// - Parameter plan: what is carried out.
    func basis(_ plan: RoutePlan?) -> Basis {
      var numbers = nextHops?.takenIDs
      numbers?.formUnion(plan?.newNextHops.map(\.noun.id) ?? [])
      numbers?.subtract(plan?.staleNextHops.map(\.id) ?? [])
      return Basis(snapshot: snapshot, adjacency: adjacency, takenNumbers: numbers)
    }
  }

  /// Reads foreign routes only if the plan adds or replaces a route, or if flannel's leftovers are asked for.
  private func look(
    _ snapshot: NodeSnapshot, _ socket: inout RouteSocket, forFlannelsRoutes: Bool
  ) throws -> Look {
    var state = try NetworkState.read(&socket)
    try state.ask(selection.interface, &socket)
    let own = try LocalNode(snapshot, selection, state: state)
    try state.askForNetworks(of: own.node.addresses.values, &socket)
    if snapshot.netConf.backendType.distinguishesNeighbours {
      try state.askForDetours(outside: snapshot.netConf.networks, &socket)
    }
    let basis = BackendBasis(
      snapshot: snapshot, own: own, state: state, adjacency: Adjacency(snapshot, own, state),
      hasMTUPerRoute: switches.hasMTUPerRoute)
    let backend = basis.backend
    let devices = DevicePlan(backend, own, state, takesOverFlannel: switches.takesOverFlannel)
    let demand = RouteDemand(
      basis, backend, devices: devices, guardsSubnets: switches.guardsSubnets,
      takesOverFlannel: switches.takesOverFlannel)
    var plan = demand.plan(foreign: [])
    var foreign = try socket.routesInTheWay(of: plan)
    if forFlannelsRoutes {
      let networks = snapshot.netConf.networks
      foreign += try socket.routes(owner: Route.bootOwner, table: Route.mainTable).filter {
        FlannelRoutes.mayHold($0, networks: networks)
      }
    }
    if !foreign.isEmpty { plan = demand.plan(foreign: foreign) }
    return Look(
      snapshot: snapshot, own: own, adjacency: basis.adjacency, devices: devices, plan: plan,
      nextHops: state.nextHops, mtuBytes: backend.mtuBytes)
  }

  /// Removes the routes, next hops and tunnel devices that the helper made, and returns how many routes that were and
  /// which devices. A removal that fails does not keep the others from being made.
  package func clean() throws -> (routes: Int, devices: [String]) {
    var socket = try RouteSocket()
    let routes = try socket.routes(owner: RouteProtocol.helper, table: Route.mainTable)
    let hops = try socket.nextHops(owner: RouteProtocol.helper)?.owned ?? []
    let devices = try socket.links().filter(TunnelDevice.isOurs)
    let outcome = try socket.apply(RoutePlan(removing: routes, hops, devices))
    if let failure = outcome.failures.first { throw failure }
    return (routes.count, devices.map(\.name))
  }
}

/// Options for routes and the lease.
package struct RouteSwitches: Sendable, Equatable {
  /// Whether this node's own subnets get a blackhole route (`--blackhole-route`).
  package var guardsSubnets: Bool
  /// Whether what flannel left is replaced or removed (`--take-over-flannel`).
  package var takesOverFlannel: Bool
  /// Whether the helper masquerades, which the lease records.
  package var masquerades: Bool
  /// Whether pods may send what a plain route carries, and routes through a tunnel say what that does (`--mtu-per-route`).
  package var hasMTUPerRoute: Bool

  package init(guardsSubnets: Bool, takesOverFlannel: Bool, masquerades: Bool, hasMTUPerRoute: Bool = false) {
    self.guardsSubnets = guardsSubnets
    self.takesOverFlannel = takesOverFlannel
    self.masquerades = masquerades
    self.hasMTUPerRoute = hasMTUPerRoute
  }
}

extension PlanOutcome {
  /// Whether all was done.
  fileprivate var isComplete: Bool {
    failures.isEmpty
      && peers.allSatisfy { peer in
        if case .failed = peer.state { false } else { true }
      }
  }
}

extension RoutePlan {
  /// Findings about flannel's routes.
  fileprivate var leftovers: [Finding] {
    guard let first = flannelsRoutes.first else { return [] }
    let via = first.gateway.map { " via \($0)" } ?? ""
    let count = flannelsRoutes.count
    let routes =
      count == 1 ? "a route to \(first.destination)\(via)" : "\(count) routes, such as \(first.destination)\(via)"
    return [.flannelRoutesLeft("flannel seems to have left \(routes): --take-over-flannel removes what nobody needs")]
  }
}
