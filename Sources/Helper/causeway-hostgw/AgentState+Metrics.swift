internal import Addresses
internal import FastPath
internal import NodeFastPath
internal import NodeRoutes
internal import NodeRules
internal import Nodes

extension AgentState.Facts {
  /// What the agent knows as numbers.
  ///
  /// - Parameters:
  ///   - source: where the nodes come from.
  ///   - use: how full this node's subnets are.
  ///   - counts: what the fast path has carried; `nil` where there is none.
  func metrics(source: String, use: [AddressUse], counts: [FastPathCount]?) -> String {
    var text = MetricsText()
    text.add(
      .gauge, "causeway_info", "The version, and where the nodes come from.",
      [([("version", HostGateway.version), ("store", source)], 1)])
    text.add(.gauge, "causeway_start_time_seconds", "When the agent started, since the epoch.", start.seconds)
    text.add(
      .gauge, "causeway_ready", "Whether routes, lease and network configuration are in.", obstacles.isEmpty ? 1 : 0)
    addRoutes(&text)
    text.add(
      .counter, "causeway_repairs_total", "Routes that were put right without the nodes having changed.",
      Double(repairs))
    addRules(&text)
    text.add("causeway_reconcile_duration_seconds", "How long a pass took.", passDurations)
    text.add(.counter, "causeway_reconcile_failures_total", "Passes that failed as a whole.", Double(failedPasses))
    text.add(
      .gauge, "causeway_store_up", "Whether the last reading of the nodes succeeded.",
      storeFailure == nil && store?.isConnected != false ? 1 : 0)
    addLease(&text)
    addFastPath(counts, &text)
    text.add(
      .gauge, "causeway_addresses_used", "Addresses of this node's subnet that pods hold.",
      use.map { ([("subnet", "\($0.subnet)")], $0.used) })
    text.add(
      .gauge, "causeway_addresses_capacity", "Addresses of this node's subnet that pods may hold.",
      use.map { ([("subnet", "\($0.subnet)")], $0.total) })
    return text.text
  }

  /// What a store that is spoken to says, as far as it is known.
  private func addLease(_ text: inout MetricsText) {
    if let revision = store?.revision {
      text.add(.gauge, "causeway_store_revision", "The store's revision that is known.", Double(revision))
    }
    if let lease {
      text.add(
        .gauge, "causeway_lease_held", "Whether the store holds a lease for this node.", lease.state == .held ? 1 : 0)
    }
    if let expiry = lease?.expiry {
      text.add(
        .gauge, "causeway_lease_expiry_timestamp_seconds", "When the lease ends unless it is renewed, since the epoch.",
        expiry.seconds)
    }
  }

  private func addFastPath(_ counts: [FastPathCount]?, _ text: inout MetricsText) {
    guard let fastPath else { return }
    text.add(
      .gauge, "causeway_fast_path_up", "Whether the fast path is in.", fastPath.isOn ? 1 : 0)
    text.add(
      .gauge, "causeway_fast_path_addresses", "Addresses of pods that use the fast path.", Double(fastPath.podCount))
    text.add(
      .counter, "causeway_fast_path_repairs_total", "Programs of the fast path that were put back.",
      Double(fastPathRepairs))
    func labels(_ count: FastPathCount) -> MetricsText.Labels {
      [("direction", count.direction.name), ("reason", count.reason.name)]
    }
    text.add(
      .counter, "causeway_fast_path_packets_total", "Packets carried, or passed on to the ordinary path for a reason.",
      (counts ?? []).map { (labels($0), Double($0.packets)) })
    text.add(
      .counter, "causeway_fast_path_bytes_total", "Bytes of these.",
      (counts ?? []).map { (labels($0), Double($0.bytes)) })
  }

  private func addRules(_ text: inout MetricsText) {
    text.add(
      .counter, "causeway_rule_repairs_total", "Rules that were put right after somebody had changed them.",
      Double(ruleRepairs))
    guard let rules else { return }
    let isRight = !rules.hasFailed && [.installed, .off].contains(rules.table)
    text.add(
      .gauge, "causeway_rule_drift", "Whether the rules are not as they must be and could not be put right.",
      isRight ? 0 : 1)
  }

  private func addRoutes(_ text: inout MetricsText) {
    guard let report else { return }
    let peers = report.peers.filter(\.isWanted)
    // A store that gives leases tells of this node apart from the others.
    let nodes = (snapshot?.nodes.count ?? 0) + (snapshot?.own == nil ? 0 : 1)
    func count(_ names: String...) -> Double { Double(peers.count { names.contains($0.stateName) }) }
    text.add(.gauge, "causeway_nodes", "Nodes of the cluster, this one among them.", Double(nodes))
    text.add(
      .gauge, "causeway_routes_wanted", "Routes to other nodes' subnets that there should be.", Double(peers.count))
    text.add(.gauge, "causeway_routes_installed", "Those that are in the kernel.", count("installed"))
    text.add(
      .gauge, "causeway_routes_failed", "Those that the kernel refused or another program's route is in the way of.",
      count("failed", "blocked", "missing"))
    text.add(
      .gauge, "causeway_peers_off_link", "Those whose node is not on this node's layer-2 network.", count("off-link"))
    text.add(
      .gauge, "causeway_problems", "What else is wrong; status tells it.",
      Double(report.problems.count + (rules?.problems.count ?? 0)))
  }
}

extension PeerRoute {
  /// Whether there should be a route.
  fileprivate var isWanted: Bool {
    switch state {
    case .noSubnet, .skipped, .unrouted: false
    case .installed, .missing, .failed, .offLink, .blocked, .noAddress: true
    }
  }
}
