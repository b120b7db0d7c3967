internal import Addresses
internal import Logging
internal import Nodes

extension EtcdLeaseHolder {
  /// Publishes whether the lease is held or lost, and shows this node's subnets in the view.
  func publish() {
    guard let held else { return }
    show(held.subnets, held.addresses)
    if conditions.leaseLacks(shortage), let shortage { logger.warning("\(shortage)") }
    guard !held.isRevoked else { return lost("etcd has dropped the lease of \(held.key.text)") }
    guard !held.hasExpired else {
      return lost("the lease of \(held.key.text) has run out, since etcd could not be reached in time to renew it")
    }
    conditions.leaseIs(.held, subnets: subnets, expiry: held.expirySinceEpoch)
  }

  /// Subnets of new pods, then those that only older pods use.
  private var subnets: [IPPrefix] { (held?.subnets ?? []) + retiring.values.flatMap(\.subnets) }

  /// Publishes the subnets that the node had last while it has no lease, without those that another node has now.
  ///
  /// - Parameter reason: why there is no lease.
  func goOnWithEarlier(_ reason: String) {
    let prior = priorSubnets()
    let last = IPFamily.allCases.compactMap { family in prior.first { $0.family == family } }
    let ownership = addresses.isEmpty ? nil : view.content.state.map(ownership)
    let taken = last.compactMap { subnet in ownership?.holder(of: subnet).map { (subnet, holder: $0) } }
    // flannel's layout identifies a node by its IPv4 subnet, so an IPv6 subnet alone is of no use.
    let kept =
      taken.contains { $0.0.family == .v4 } ? [] : last.filter { subnet in !taken.contains { $0.0 == subnet } }
    if ownership != nil { show(kept, addresses) }
    let losses = taken.map {
      "; \($0.0), which it had, is \($0.holder.nodeName)'s now and no pod gets an address of it"
    }
    let state: AgentConditions.Lease.State =
      kept.isEmpty
      ? .refused(reason + losses.joined())
      : .unconfirmed("\(reason)\(losses.joined()); this node goes on with its last lease")
    guard conditions.leaseIs(state, subnets: kept, expiry: nil) else { return }
    logger.error("no lease: \(reason)\(losses.joined())", metadata: ["subnets": "\(kept)"])
  }

  private func show(_ subnets: [IPPrefix], _ addresses: [IPAddress]) {
    var own = Node(name: addresses.first?.description ?? "", addresses: addresses)
    for subnet in subnets { own.setSubnet(subnet) }
    let further = retiring.mapValues(\.leaseID)
    guard view.content.own != own || view.content.retiring != further else { return }
    view.update { content in
      content.own = own
      content.retiring = further
    }
  }

  /// Publishes that the lease is lost.
  func lost(_ reason: String) {
    if conditions.leaseIs(.lost(reason), subnets: subnets, expiry: nil) {
      logger.error("lease lost: \(reason); this node's pods and routes stay as they are")
    }
  }

  /// Keeps a record outside the range that nodes may claim as long as no subnet in the range is free.
  func exhausted(_ plan: LeasePlan) async throws {
    let reason = LeasePlan.exhaustion(.v4, plan.network)
    guard let record = plan.own.first else { return goOnWithEarlier(reason) }
    guard try await hold(record, plan) else { return }
    shortage = reason
    publish()
    try await maintainOthers(record, plan)
  }
}
