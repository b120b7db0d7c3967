internal import Addresses
internal import Glibc
package import Netlink
internal import NodeState

/// Result of a plan.
package struct PlanOutcome: Sendable {
  /// Every other node with its state now.
  package internal(set) var peers: [PeerRoute]
  /// Changes that were made, in order.
  package internal(set) var changes: [RouteChange] = []
  /// Failures beside the peers' routes.
  package internal(set) var failures: [NetlinkError] = []
}

extension RouteSocket {
  /// Carries a plan out: first what is new, last what is stale, each kind in packed messages. A failure is reported at its
  /// node and does not delay other nodes.
  ///
  /// - Throws: only if the socket itself fails.
  package mutating func apply(_ plan: RoutePlan) throws(NetlinkError) -> PlanOutcome {
    var outcome = PlanOutcome(peers: plan.peers)
    try put(plan.newNextHops, nil, &outcome, NetlinkRequest.addNextHop)
    try put(plan.changedNextHops, .moved, &outcome, NetlinkRequest.replaceNextHop)
    for verb in RouteChange.Verb.entriesSet {
      try put(plan.newEntries.filter { $0.noun.verb == verb }, verb, &outcome, NetlinkRequest.replaceEntry)
    }
    try put(plan.newRoutes, .added, &outcome, NetlinkRequest.addRoute)
    try put(plan.changedRoutes, .replaced, &outcome, NetlinkRequest.replaceRoute)
    for neighbour in plan.doubtfulNeighbours { try forget(neighbour) }
    try putBlackholes(plan.newBlackholes, &outcome, NetlinkRequest.addRoute)
    try putBlackholes(plan.changedBlackholes, &outcome, NetlinkRequest.replaceRoute)
    try remove(plan, &outcome)
    return outcome
  }

  /// Returns routes of others to the destinations that the plan adds or replaces. A few destinations are looked up one by
  /// one, since a router may have a million routes, and a large cluster's own routes would be listed again.
  mutating func routesInTheWay(of plan: RoutePlan) throws(NetlinkError) -> [Route] {
    let wanted = plan.wantedDestinations
    if wanted.isEmpty { return [] }
    // A route of ours that is to be replaced would hide one beside it.
    if wanted.count <= 64, plan.changedRoutes.isEmpty, let found = try lookUp(wanted) { return found }
    return try routes(table: Route.mainTable).filter { route in
      route.owner != RouteProtocol.helper && wanted.contains(route.destination)
    }
  }

  /// `nil` if the kernel's answers leave it open.
  private mutating func lookUp(_ destinations: Set<IPPrefix>) throws(NetlinkError) -> [Route]? {
    var found: [Route] = []
    for destination in destinations {
      switch try lookUp(destination) {
      case .absent: break
      case .present(let route) where route.owner != RouteProtocol.helper: found.append(route)
      case .present, .hidden: return nil
      }
    }
    return found
  }

  /// Installs things for the peers that nothing has failed for.
  private mutating func put<Noun>(
    _ steps: [RoutePlan.Step<Noun>], _ verb: RouteChange.Verb?, _ outcome: inout PlanOutcome,
    _ request: (Noun) -> NetlinkRequest
  ) throws(NetlinkError) {
    let steps = steps.filter { !outcome.peers[$0.peer].hasFailed }
    for (step, failure) in zip(steps, try perform(steps.map { request($0.noun) })) {
      if let failure {
        outcome.peers[step.peer].state = .failed("\(failure)")
      } else if let verb {
        outcome.peers[step.peer].state = .installed
        outcome.changes.append(RouteChange(verb, outcome.peers[step.peer]))
      }
    }
  }

  private mutating func putBlackholes(
    _ routes: [Route], _ outcome: inout PlanOutcome, _ request: (Route) -> NetlinkRequest
  ) throws(NetlinkError) {
    for (route, failure) in zip(routes, try perform(routes.map(request))) {
      switch failure?.errno {
      case nil: outcome.changes.append(RouteChange(verb: .shut, route))
      // Another program's blackhole of this very metric serves as well.
      case EEXIST: break
      default: if let failure { outcome.failures.append(failure) }
      }
    }
  }

  private mutating func remove(_ plan: RoutePlan, _ outcome: inout PlanOutcome) throws(NetlinkError) {
    let routes = plan.staleRoutes
    var failures: [(route: Route, error: NetlinkError)] = []
    for (route, failure) in zip(routes, try perform(routes.map { NetlinkRequest.removeRoute($0.removable) })) {
      if let failure {
        if failure.errno != ESRCH { failures.append((route, failure)) }
        continue
      }
      outcome.changes.append(RouteChange(verb: .removed, route))
    }
    if !failures.isEmpty {
      // Removing a route that was removed with its next hop, as when a link loses its carrier, fails with EINVAL.
      var left: Set<Route> = []
      // Ours, and those of flannel that are removed for it.
      for owner in Set(failures.map(\.route.owner)) {
        left.formUnion(try self.routes(owner: owner, table: Route.mainTable))
      }
      outcome.failures += failures.filter { left.contains($0.route) }.map(\.error)
    }
    for failure in try perform(plan.staleNextHops.map(NetlinkRequest.removeNextHop)) {
      if let failure, failure.errno != ENOENT { outcome.failures.append(failure) }
    }
    for failure in try perform(plan.staleEntries.map(NetlinkRequest.removeEntry)) {
      if let failure, failure.errno != ENOENT { outcome.failures.append(failure) }
    }
    for link in plan.staleDevices {
      do throws(NetlinkError) {
        try perform(.removeLink(link.index, name: link.name), accepting: ENODEV)
        outcome.changes.append(RouteChange(verb: .deviceRemoved, device: link.name))
      } catch {
        outcome.failures.append(error)
      }
    }
  }
}

extension PeerRoute {
  fileprivate var hasFailed: Bool {
    if case .failed = state { true } else { false }
  }
}
