internal import Addresses
package import Lease
internal import Linux
internal import Netlink
package import NodeRules

/// Makes the kernel's rules and routes and the lease what the nodes ask for. Start, repair, a node's removal and restart
/// are all this one pass: what is marked as ours in the kernel is the only state.
package struct Reconciler: Sendable {
  private let selection: NodeSelection
  private let files: PublishedLease
  private let switches: RuleSwitches
  private let guardsSubnets: Bool
  private let rules: RulesReconciler

  /// - Parameter guardsSubnets: whether this node's own subnets get a blackhole route (`--blackhole-route`).
  package init(
    selection: NodeSelection, files: PublishedLease, switches: RuleSwitches, guardsSubnets: Bool
  ) {
    self.selection = selection
    self.files = files
    self.switches = switches
    self.guardsSubnets = guardsSubnets
    rules = RulesReconciler(switches: switches, stateDirectory: files.stateDirectory)
  }

  /// What a pass found and did.
  package struct Report: Sendable {
    package let own: OwnNode
    package let rules: RulesReport
    package let peers: [PeerRoute]
    package let lease: SubnetLease
    /// Whether the lease on disk was another.
    package let isNewLease: Bool
    package let changes: [RouteChange]
    /// What went wrong with this node itself, beside the rules and the peers' own states.
    fileprivate let failures: [String]
    /// What is left of flannel's routes.
    fileprivate let leftovers: [String]

    /// What is wrong beside the peers' own states.
    package var problems: [String] { failures + rules.problems }
    /// What may be wrong, or could be tidied up.
    package var warnings: [String] { rules.warnings + leftovers }

    /// Whether all rules and every wanted route are in the kernel and nothing of ours is left over.
    package var isSettled: Bool { problems.isEmpty && peers.allSatisfy(\.isSettled) }
  }

  /// One pass in the calling thread's network namespace; it blocks. The rules come first and the lease last, so that no
  /// pod starts before its node's rules and routes are in; routes and lease come also where a rule is refused or some
  /// node can't be reached.
  ///
  /// - Parameter known: the report of an earlier pass over the same nodes, where there is no sign that anybody has
  ///   touched the rules since: then they are not looked at, and neither is what flannel left.
  package func reconcile(_ snapshot: NodeSnapshot, since known: Report? = nil) throws -> Report {
    var socket = try RouteSocket()
    let (own, plan) = try look(snapshot, &socket, forFlannelsRoutes: known == nil)
    let rules =
      known?.rules.unchanged
      ?? self.rules.reconcile(networks: snapshot.netConf.networks, nodes: snapshot.addresses)
    let outcome = plan.isEmpty ? PlanOutcome(peers: plan.peers) : try socket.apply(plan)
    let lease = own.lease(networks: snapshot.netConf.networks, masquerades: masquerades)
    let isNewLease = try files.publish(lease, mark: snapshot.mark)
    return Report(
      own: own, rules: rules, peers: outcome.peers, lease: lease, isNewLease: isNewLease, changes: outcome.changes,
      failures: own.problemList + outcome.failures.map(\.description),
      leftovers: known?.leftovers ?? plan.leftovers)
  }

  /// What a pass would find, touching nothing.
  package func inspect(_ snapshot: NodeSnapshot) throws -> Report {
    var socket = try RouteSocket()
    let (own, plan) = try look(snapshot, &socket, forFlannelsRoutes: true)
    let lease = own.lease(networks: snapshot.netConf.networks, masquerades: masquerades)
    return Report(
      own: own, rules: rules.inspect(networks: snapshot.netConf.networks, nodes: snapshot.addresses),
      peers: plan.peers, lease: lease, isNewLease: false, changes: [], failures: own.problemList,
      leftovers: plan.leftovers)
  }

  private var masquerades: Bool { switches.masquerade != nil }

  /// Only where something is to be put in place do the routes of others matter, but for flannel's.
  private func look(
    _ snapshot: NodeSnapshot, _ socket: inout RouteSocket, forFlannelsRoutes: Bool
  ) throws -> (OwnNode, RoutePlan) {
    var state = try NetworkState.read(&socket)
    try state.ask(selection.interface, &socket)
    let own = try OwnNode(snapshot, selection, state: state)
    try state.askForNetworks(of: IPFamily.allCases.compactMap(own.node.address), &socket)
    let plan = plan(snapshot, own, state, foreign: [])
    var foreign = try socket.routesInTheWay(of: plan)
    if forFlannelsRoutes {
      let networks = snapshot.netConf.networks
      foreign += try socket.routes(owner: Route.bootOwner, table: Route.mainTable).filter {
        FlannelRoutes.mayHold($0, networks: networks)
      }
    }
    return (own, foreign.isEmpty ? plan : self.plan(snapshot, own, state, foreign: foreign))
  }

  private func plan(
    _ snapshot: NodeSnapshot, _ own: OwnNode, _ state: NetworkState, foreign: [Route]
  ) -> RoutePlan {
    RoutePlan(
      snapshot, own: own, state: state, foreign: foreign, guardsSubnets: guardsSubnets,
      takesOverFlannel: switches.takesOverFlannel)
  }

  /// What `clean` removed.
  package struct Removal: Sendable {
    package let routes: Int
    package let rules: [RuleChange]
  }

  /// Removes everything that the helper made in the kernel and on disk; nothing stays because something else could not
  /// be removed.
  package func clean() throws -> Removal {
    var socket = try RouteSocket()
    let routes = try socket.routes(owner: NetworkState.owner, table: Route.mainTable)
    let hops = try socket.nextHops(owner: NetworkState.owner)?.owned ?? []
    let outcome = try socket.apply(RoutePlan(removing: routes, hops))
    let removed = Result { () throws(RulesError) in try rules.clean() }
    try files.remove()
    if let failure = outcome.failures.first { throw failure }
    return Removal(routes: routes.count, rules: try removed.get())
  }
}

extension RoutePlan {
  /// What is to be told of flannel's routes.
  fileprivate var leftovers: [String] {
    guard let first = flannelsRoutes.first else { return [] }
    let via = first.gateway.map { " via \($0)" } ?? ""
    let count = flannelsRoutes.count
    let routes =
      count == 1 ? "a route to \(first.destination)\(via)" : "\(count) routes, such as \(first.destination)\(via)"
    return ["flannel seems to have left \(routes): --take-over-flannel removes what nobody needs"]
  }
}
