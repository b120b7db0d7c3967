internal import Addresses
package import Lease
internal import Linux
internal import Netlink

/// Makes the kernel's routes and the lease what the nodes ask for. Start, repair, a node's removal and restart are all
/// this one pass: the marked routes in the kernel are the only state.
package struct Reconciler: Sendable {
  private let selection: NodeSelection
  private let files: PublishedLease
  private let masquerades: Bool

  package init(selection: NodeSelection, files: PublishedLease, masquerades: Bool) {
    self.selection = selection
    self.files = files
    self.masquerades = masquerades
  }

  /// What a pass found and did.
  package struct Report: Sendable {
    package let own: OwnNode
    package let peers: [PeerRoute]
    package let lease: SubnetLease
    /// Whether the lease on disk was another.
    package let isNewLease: Bool
    package let changes: [RouteChange]
    /// What is wrong beside the peers' own states.
    package let problems: [String]

    /// Whether every wanted route is in the kernel and nothing of ours is left over.
    package var isSettled: Bool { problems.isEmpty && peers.allSatisfy(\.isSettled) }
  }

  /// One pass in the calling thread's network namespace; it blocks. The lease comes after the routes, so that no pod
  /// starts before its node's routes are in; it comes also where some node can't be reached.
  package func reconcile(_ snapshot: NodeSnapshot) throws -> Report {
    var socket = try RouteSocket()
    let (own, plan) = try look(snapshot, &socket)
    let outcome = plan.isEmpty ? PlanOutcome(peers: plan.peers) : try socket.apply(plan)
    let lease = own.lease(networks: snapshot.netConf.networks, masquerades: masquerades)
    let isNewLease = try files.publish(lease, mark: snapshot.mark)
    let problems = own.problemList + outcome.leftovers.map(\.description)
    return Report(
      own: own, peers: outcome.peers, lease: lease, isNewLease: isNewLease, changes: outcome.changes,
      problems: problems)
  }

  /// What a pass would find, touching nothing.
  package func inspect(_ snapshot: NodeSnapshot) throws -> Report {
    var socket = try RouteSocket()
    let (own, plan) = try look(snapshot, &socket)
    let lease = own.lease(networks: snapshot.netConf.networks, masquerades: masquerades)
    return Report(
      own: own, peers: plan.peers, lease: lease, isNewLease: false, changes: [],
      problems: own.problemList)
  }

  /// Only where something is to be put in place do the routes of others matter.
  private func look(_ snapshot: NodeSnapshot, _ socket: inout RouteSocket) throws -> (OwnNode, RoutePlan) {
    var state = try NetworkState.read(&socket)
    try state.ask(selection.interface, &socket)
    let own = try OwnNode(snapshot, selection, state: state)
    try state.askForNetworks(of: IPFamily.allCases.compactMap(own.node.address), &socket)
    let plan = RoutePlan(snapshot, own: own, state: state)
    let foreign = try socket.routesInTheWay(of: plan)
    return (own, foreign.isEmpty ? plan : RoutePlan(snapshot, own: own, state: state, foreign: foreign))
  }

  /// Removes everything that the helper made in the kernel and on disk; says how many routes those were.
  package func clean() throws -> Int {
    var socket = try RouteSocket()
    let routes = try socket.routes(owner: NetworkState.owner, table: Route.mainTable)
    let hops = try socket.nextHops(owner: NetworkState.owner)?.owned ?? []
    let outcome = try socket.apply(RoutePlan(removing: routes, hops))
    if let leftover = outcome.leftovers.first { throw leftover }
    try files.remove()
    return routes.count
  }
}
