internal import Addresses
internal import Linux
internal import Logging
internal import Nodes
internal import NodeState

extension LeaseKeeper {
  /// Takes over the record as it is; false where it must get another lease first, which is done.
  func hold(_ record: EtcdRecord, _ plan: LeasePlan) async throws -> Bool {
    guard let key = record.key else { return false }
    if held?.name != record.name || held?.leaseID != record.leaseID {
      var ttl: Duration?
      let start = MonotonicTime.now
      if record.leaseID != 0 {
        ttl = try await client.keepAlive(record.leaseID)
        let granted = try await client.timeToLive(record.leaseID)?.granted
        guard ttl != nil, granted == settings.ttl else {
          try await update(record, plan)
          return false
        }
      }
      logger.info("lease found", metadata: metadata(key))
      take(key, record.mark, plan.addresses(toldBy: record), ttl, start)
    } else if held?.isGone == true {
      try await update(record, plan)
      return false
    } else if held?.modRevision != record.modRevision {
      held?.modRevision = record.modRevision
      remember()
    }
    held?.addresses = plan.addresses(toldBy: record)
    shortage = plan.shortage(key, isReservation: record.leaseID == 0)
    publish()
    return true
  }

  /// Writes the record anew where nobody has changed it since: with our addresses, and a lease that lasts as long as it
  /// should. A reservation stays one.
  func update(_ record: EtcdRecord, _ plan: LeasePlan) async throws {
    guard let key = record.key else { return }
    let addresses = plan.addresses(toldBy: record)
    let value = try EtcdRecord.value(addresses, in: plan.network.netConf.backend)
    var lease: (lease: EtcdClient.Lease, start: Duration)?
    var id = record.leaseID
    // Only a lease that we have made or examined is sure to last as it should.
    if id != 0, held?.leaseID != id || held?.isGone == true {
      lease = try await granted()
      id = lease?.lease.id ?? 0
    }
    let change = try await using(lease) {
      try await client.update(record.name, value, leaseID: id, since: record.modRevision)
    }
    let revision: Int64
    switch change {
    case .done(let done): revision = done
    case .conflict(let found):
      guard let ours = found.first(where: { $0.leaseID == id && $0.value == Array(value.utf8) }) else {
        logger.info("\(record.name) has changed meanwhile", metadata: ["found": "\(found.count)"])
        return
      }
      // Our own writing, of which the answer was lost.
      revision = ours.modRevision
    }
    if held?.leaseID == id, held?.name == record.name {
      held?.modRevision = revision
      held?.addresses = addresses
    } else {
      let mark = RecordMark(name: record.name, leaseID: id, modRevision: revision)
      take(key, mark, addresses, lease?.lease.ttl, lease?.start ?? .zero)
    }
    wrote(revision)
    logger.info("lease renewed in etcd", metadata: metadata(key))
  }

  /// Claims a subnet; false where somebody else has it.
  func create(_ key: EtcdSubnetKey, _ plan: LeasePlan) async throws -> Bool {
    let before = priorSubnets()
    let lease = try await granted()
    let addresses = plan.addresses(toldBy: nil)
    let value = try EtcdRecord.value(addresses, in: plan.network.netConf.backend)
    attempted = key
    let change = try await using(lease) { try await client.create(key, value, leaseID: lease.lease.id) }
    attempted = nil
    let revision: Int64
    switch change {
    case .done(let done): revision = done
    case .conflict(let found):
      guard let ours = found.first(where: { $0.leaseID == lease.lease.id }) else {
        refused.subnets.insert(key.subnet)
        return false
      }
      // Our own writing, of which the answer was lost.
      revision = ours.modRevision
    }
    take(
      key, RecordMark(name: key.text, leaseID: lease.lease.id, modRevision: revision), addresses, lease.lease.ttl,
      lease.start)
    shortage = plan.shortage(key, isReservation: false)
    wrote(revision)
    if let old = before.first, !before.contains(key.subnet) {
      logger.warning("this node has another subnet now: \(key.subnet); it had \(old)", metadata: metadata(key))
    } else {
      logger.info("lease claimed", metadata: metadata(key))
    }
    return true
  }

  /// Puts a record with another IPv6 part in place of ours, or beside it; false where somebody else has that.
  func replace(
    _ record: EtcdRecord, by key: EtcdSubnetKey, staysToo: Bool, _ plan: LeasePlan
  ) async throws -> Bool {
    let isReservation = record.leaseID == 0
    let lease = isReservation ? nil : try await granted()
    let id = lease?.lease.id ?? 0
    let addresses = plan.addresses(toldBy: record)
    let value = try EtcdRecord.value(addresses, in: plan.network.netConf.backend)
    let change = try await using(lease) {
      try await client.replace(
        record.name, since: record.modRevision, by: key, value, leaseID: id, staysToo: staysToo)
    }
    guard case .done(let revision) = change else { return false }
    take(
      key, RecordMark(name: key.text, leaseID: id, modRevision: revision), addresses, lease?.lease.ttl,
      lease?.start ?? .zero)
    shortage = plan.shortage(key, isReservation: isReservation)
    wrote(revision)
    logger.info("lease has another IPv6 subnet now", metadata: metadata(key))
    return true
  }

  /// Two nodes claimed what overlaps, under different names; the later one steps back.
  func giveUp(_ record: EtcdRecord, to other: EtcdRecord) async throws {
    lost("\(record.name) overlaps \(other.name) of \(other.nodeName), which is older: this node takes another subnet")
    if case .done(let revision) = try await client.remove(record.name, since: record.modRevision) {
      if let held, held.name == record.name { forget(held) }
      wrote(revision)
    }
  }

  /// This node's records beside the one that it holds: what pods still live in stays alive, the rest is given back. Of a
  /// record with our address that is not known as ours, another process may live on.
  func tendOthers(_ main: EtcdRecord, _ plan: LeasePlan) async throws {
    var kept: [String: HeldLease] = [:]
    var left: [String: Duration] = [:]
    let published = try? SubnetLease.read(settings.files.subnetFile)
    for record in plan.ownership.own + plan.ownership.strangers
    where record.name != main.name && record.leaseID != 0 {
      guard let key = record.key else { continue }
      let subnets = key.subnets.filter { held?.subnets.contains($0) == false }
      // Until `subnet.env` names another one, pods come to live there.
      let isPublished = subnets.contains { subnet in published?.subnets.contains { $0.network == subnet } ?? false }
      if isPublished || subnets.contains(where: settings.hasPods) {
        let start = MonotonicTime.now
        if let old = retiring[record.name], !old.isDue {
          kept[record.name] = old
        } else if let ttl = try await client.keepAlive(record.leaseID) {
          kept[record.name] = HeldLease(
            key, record.mark, telling: plan.addresses(toldBy: record), ttl: ttl, start: start,
            margin: settings.renewMargin)
        }
        kept[record.name]?.modRevision = record.modRevision
        if var lease = kept[record.name], plan.ownership.isOwn(record) {
          try await readdress(record, &lease, plan)
          kept[record.name] = lease
        }
      } else if !plan.ownership.isOwn(record) {
        if leftAlone.insert(record.name).inserted {
          logger.warning("\(record.name) in etcd tells this node's address and is not its own: it is left alone")
        }
      } else if let since = vacant[record.name], since + LeaseKeeper.vacancy <= MonotonicTime.now {
        try await giveBack(record, key, main, plan)
      } else {
        left[record.name] = vacant[record.name] ?? MonotonicTime.now
        kept[record.name] = retiring[record.name]
      }
    }
    let isNew = kept.mapValues(\.mark) != retiring.mapValues(\.mark)
    (retiring, vacant) = (kept, left)
    guard isNew else { return }
    remember()
    publish()
  }

  /// Makes a record that is kept besides tell the addresses that this node has now: other nodes' routes to the pods in
  /// its subnet lead there.
  private func readdress(_ record: EtcdRecord, _ lease: inout HeldLease, _ plan: LeasePlan) async throws {
    let addresses = plan.addresses(toldBy: record)
    guard !record.tells(addresses, in: plan.network.netConf.backend) else { return }
    let value = try EtcdRecord.value(addresses, in: plan.network.netConf.backend)
    // Where somebody has changed it meanwhile, the next look at it shows what is to be done.
    guard
      case .done(let revision) = try await client.update(
        record.name, value, leaseID: record.leaseID, since: record.modRevision)
    else { return }
    lease.modRevision = revision
    lease.addresses = addresses
    retiring[record.name] = lease
    wrote(revision)
    logger.info("an earlier subnet of this node has its new address", metadata: metadata(lease.key))
  }

  private func giveBack(
    _ record: EtcdRecord, _ key: EtcdSubnetKey, _ main: EtcdRecord, _ plan: LeasePlan
  ) async throws {
    guard case .done(let revision) = try await client.remove(record.name, since: record.modRevision) else { return }
    wrote(revision)
    logger.info("an earlier subnet of this node is given back", metadata: ["subnet": "\(key.text)"])
    // Flannel's nodes take the IPv4 route away with either of two records of one IPv4 subnet, unless the other one comes
    // anew.
    if key.subnet == main.key?.subnet { try await update(main, plan) }
  }

  /// Begins the lease's time anew where it is due.
  func renew() async throws {
    guard var lease = held, lease.isDue else { return }
    let start = MonotonicTime.now
    do {
      if let ttl = try await client.keepAlive(lease.leaseID) {
        lease.renewed(ttl, start: start, margin: settings.renewMargin)
        held = lease
        publish()
      } else {
        // The key has gone with it, or goes now; the next look at the records claims it again.
        lease.gone()
        held = lease
        publish()
      }
    } catch {
      lease.tryAgain(after: .seconds(Double.random(in: 5...10)))
      held = lease
      throw error
    }
  }

  private func granted() async throws -> (lease: EtcdClient.Lease, start: Duration) {
    if let spare, MonotonicTime.now - spare.start < spare.lease.ttl / 3 { return spare }
    let start = MonotonicTime.now
    let fresh = (lease: try await client.grant(settings.ttl), start: start)
    spare = fresh
    return fresh
  }

  /// Writes with a lease that was granted; one that etcd has dropped meanwhile is not tried again. Whatever else is
  /// refused leaves it for the next time: a lease for each would fill etcd.
  private func using(
    _ lease: (lease: EtcdClient.Lease, start: Duration)?, _ body: () async throws -> EtcdClient.Change
  ) async throws -> EtcdClient.Change {
    do {
      return try await body()
    } catch {
      // gRPC's "not found", which of all that is written here can be the lease only.
      if lease != nil, case EtcdError.refused(_, _, code: 5) = error { (spare, attempted) = (nil, nil) }
      throw error
    }
  }

  /// Holds the record from now on.
  private func take(
    _ key: EtcdSubnetKey, _ mark: RecordMark, _ addresses: [IPAddress], _ ttl: Duration?, _ start: Duration
  ) {
    if let held { forget(held) }
    held = HeldLease(
      key, mark, telling: addresses, ttl: ttl, start: start, margin: settings.renewMargin)
    if spare?.lease.id == mark.leaseID { spare = nil }
  }

  /// After each writing: what is built on next must show it, and everybody else is told now.
  private func wrote(_ revision: Int64) {
    written = EtcdWriting(revision: revision, readsBegun: view.content.readsBegun)
    remember()
    publish()
  }

  /// For the next agent of this node.
  private func remember() {
    let marks = [held].compactMap { $0?.mark } + retiring.values.map(\.mark).sorted { $0.name < $1.name }
    do {
      try memory.write(marks)
    } catch {
      logger.warning("\(error); the next agent of this node may not know its lease again")
    }
  }

  private func metadata(_ key: EtcdSubnetKey) -> Logger.Metadata {
    ["subnet": "\(key.text)", "node": "\(addresses.first.map { "\($0)" } ?? "")"]
  }
}
