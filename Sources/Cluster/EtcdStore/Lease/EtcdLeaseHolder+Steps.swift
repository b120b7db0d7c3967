internal import Addresses
internal import Linux
internal import Logging
internal import Nodes
internal import NodeState

extension EtcdLeaseHolder {
  /// Holds a record as it stands in etcd.
  ///
  /// - Returns: whether the record is held; false if it had to be written with a new lease, which is done.
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
      take(key, record.version, addresses: plan.addresses(publishedBy: record), ttl: ttl, start: start)
    } else if held?.isRevoked == true {
      try await update(record, plan)
      return false
    } else if held?.modRevision != record.modRevision {
      held?.modRevision = record.modRevision
      remember()
    }
    held?.addresses = plan.addresses(publishedBy: record)
    shortage = plan.shortage(key, isReservation: record.leaseID == 0)
    publish()
    return true
  }

  /// Writes our addresses and a lease of the desired lifetime to a record, unless another process has changed the
  /// record since the view. A reservation remains a reservation.
  func update(_ record: EtcdRecord, _ plan: LeasePlan) async throws {
    guard let key = record.key else { return }
    let addresses = plan.addresses(publishedBy: record)
    let value = try EtcdRecord.value(addresses, in: plan.network.netConf.backend)
    var lease: EtcdClient.Grant?
    var id = record.leaseID
    // Only a lease that we have granted or examined is known to have the desired lifetime.
    if id != 0, held?.leaseID != id || held?.isRevoked == true {
      lease = try await granted()
      id = lease?.id ?? 0
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
      // Our own write, whose answer was lost.
      revision = ours.modRevision
    }
    if held?.leaseID == id, held?.name == record.name {
      held?.modRevision = revision
      held?.addresses = addresses
    } else {
      let version = RecordVersion(name: record.name, leaseID: id, modRevision: revision)
      take(key, version, addresses: addresses, ttl: lease?.ttl, start: lease?.start ?? .zero)
    }
    wrote(revision)
    logger.info("lease renewed in etcd", metadata: metadata(key))
  }

  /// Claims a subnet.
  ///
  /// - Returns: whether the subnet is ours; false if another node was faster.
  func create(_ key: EtcdSubnetKey, _ plan: LeasePlan) async throws -> Bool {
    let before = priorSubnets()
    let lease = try await granted()
    let addresses = plan.addresses(publishedBy: nil)
    let value = try EtcdRecord.value(addresses, in: plan.network.netConf.backend)
    attempted = key
    let change = try await using(lease) { try await client.create(key, value, leaseID: lease.id) }
    attempted = nil
    let revision: Int64
    switch change {
    case .done(let done): revision = done
    case .conflict(let found):
      guard let ours = found.first(where: { $0.leaseID == lease.id }) else {
        refused.subnets.insert(key.subnet)
        return false
      }
      // Our own write, whose answer was lost.
      revision = ours.modRevision
    }
    take(
      key, RecordVersion(name: key.text, leaseID: lease.id, modRevision: revision), addresses: addresses,
      ttl: lease.ttl, start: lease.start)
    shortage = plan.shortage(key, isReservation: false)
    wrote(revision)
    if let old = before.first, !before.contains(key.subnet) {
      logger.warning("this node has another subnet now: \(key.subnet); it had \(old)", metadata: metadata(key))
    } else {
      logger.info("lease claimed", metadata: metadata(key))
    }
    return true
  }

  /// Claims a key with another IPv6 subnet for our record.
  ///
  /// - Parameter keepsOld: whether the old record remains beside the new one, for the pods in its subnet.
  /// - Returns: whether the key is ours; false if another node was faster.
  func replace(
    _ record: EtcdRecord, by key: EtcdSubnetKey, keepsOld: Bool, plan: LeasePlan
  ) async throws -> Bool {
    let isReservation = record.leaseID == 0
    let lease = isReservation ? nil : try await granted()
    let id = lease?.id ?? 0
    let addresses = plan.addresses(publishedBy: record)
    let value = try EtcdRecord.value(addresses, in: plan.network.netConf.backend)
    let change = try await using(lease) {
      try await client.replace(
        record.name, since: record.modRevision, by: key, value: value, leaseID: id, keepsOld: keepsOld)
    }
    guard case .done(let revision) = change else { return false }
    take(
      key, RecordVersion(name: key.text, leaseID: id, modRevision: revision), addresses: addresses, ttl: lease?.ttl,
      start: lease?.start ?? .zero)
    shortage = plan.shortage(key, isReservation: isReservation)
    wrote(revision)
    logger.info("lease has another IPv6 subnet now", metadata: metadata(key))
    return true
  }

  /// Removes our record because it overlaps an older one of another node.
  func giveUp(_ record: EtcdRecord, to other: EtcdRecord) async throws {
    lost("\(record.name) overlaps \(other.name) of \(other.nodeName), which is older: this node takes another subnet")
    if case .done(let revision) = try await client.remove(record.name, since: record.modRevision) {
      if let held, held.name == record.name { forget(held) }
      wrote(revision)
    }
  }

  /// Maintains this node's further records: renews those whose subnets pods still use, and removes the others. Does not
  /// remove a record that has our address but is not known as ours, since another process may depend on it.
  func maintainOthers(_ main: EtcdRecord, _ plan: LeasePlan) async throws {
    var kept: [String: HeldRecord] = [:]
    var left: [String: Duration] = [:]
    let published = try? SubnetLease.read(settings.files.subnetFile)
    for record in plan.ownership.own + plan.ownership.strangers
    where record.name != main.name && record.leaseID != 0 {
      guard let key = record.key else { continue }
      let subnets = key.subnets.filter { held?.subnets.contains($0) == false }
      // New pods get addresses of the subnet as long as `subnet.env` names it.
      let isPublished = subnets.contains { subnet in published?.subnets.contains { $0.network == subnet } ?? false }
      if isPublished || subnets.contains(where: settings.hasPods) {
        let start = MonotonicTime.now
        if let old = retiring[record.name], !old.isDue {
          kept[record.name] = old
        } else if let ttl = try await client.keepAlive(record.leaseID) {
          kept[record.name] = HeldRecord(
            key, record.version, addresses: plan.addresses(publishedBy: record), ttl: ttl, start: start,
            margin: settings.renewMargin)
        }
        kept[record.name]?.modRevision = record.modRevision
        if var lease = kept[record.name], plan.ownership.isOwn(record) {
          try await updateAddresses(record, &lease, plan: plan)
          kept[record.name] = lease
        }
      } else if !plan.ownership.isOwn(record) {
        if leftAlone.insert(record.name).inserted {
          logger.warning("\(record.name) in etcd has this node's address but is not its own: it is left alone")
        }
      } else if let since = vacant[record.name], since + EtcdLeaseHolder.vacancy <= MonotonicTime.now {
        try await remove(record, key, main: main, plan: plan)
      } else {
        left[record.name] = vacant[record.name] ?? MonotonicTime.now
        kept[record.name] = retiring[record.name]
      }
    }
    let isNew = kept.mapValues(\.version) != retiring.mapValues(\.version)
    (retiring, vacant) = (kept, left)
    guard isNew else { return }
    remember()
    publish()
  }

  /// Writes this node's present addresses to a further record: other nodes' routes to the pods in its subnet use them
  /// as next hops.
  private func updateAddresses(
    _ record: EtcdRecord, _ lease: inout HeldRecord, plan: LeasePlan
  ) async throws {
    let addresses = plan.addresses(publishedBy: record)
    guard !record.publishes(addresses, in: plan.network.netConf.backend) else { return }
    let value = try EtcdRecord.value(addresses, in: plan.network.netConf.backend)
    // If another process has changed the record meanwhile, the next pass decides again.
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

  /// Removes a further record that nothing uses any more.
  ///
  /// - Parameter main: the record that this node holds.
  private func remove(
    _ record: EtcdRecord, _ key: EtcdSubnetKey, main: EtcdRecord, plan: LeasePlan
  ) async throws {
    guard case .done(let revision) = try await client.remove(record.name, since: record.modRevision) else { return }
    wrote(revision)
    logger.info("an earlier subnet of this node is released", metadata: ["subnet": "\(key.text)"])
    // Nodes with flannel delete the route to an IPv4 subnet with any record of it, unless an event of another record of
    // that subnet follows.
    if key.subnet == main.key?.subnet { try await update(main, plan) }
  }

  /// Renews the lease if it is due.
  func renew() async throws {
    guard var lease = held, lease.isDue else { return }
    let start = MonotonicTime.now
    do {
      if let ttl = try await client.keepAlive(lease.leaseID) {
        lease.renewed(ttl, start: start, margin: settings.renewMargin)
        held = lease
        publish()
      } else {
        // etcd removes the record together with its lease; the next pass claims the key again.
        lease.revoked()
        held = lease
        publish()
      }
    } catch {
      lease.retry(after: .seconds(Double.random(in: 5...10)))
      held = lease
      throw error
    }
  }

  /// Returns the unused lease if most of its lifetime is left, or a new one.
  private func granted() async throws -> EtcdClient.Grant {
    if let spare, MonotonicTime.now - spare.start < spare.ttl / 3 { return spare }
    let grant = try await client.grant(settings.ttl)
    spare = grant
    return grant
  }

  /// Writes with a granted lease. Keeps the lease for the next attempt after a failure, since a new lease for each
  /// attempt would fill etcd; forgets a lease that etcd has revoked.
  private func using(
    _ lease: EtcdClient.Grant?, _ body: () async throws -> EtcdClient.Change
  ) async throws -> EtcdClient.Change {
    do {
      return try await body()
    } catch {
      // Code 5 is gRPC's NOT_FOUND. Of all that a write names, only the lease can be missing.
      if lease != nil, case EtcdError.refused(_, _, code: 5) = error { (spare, attempted) = (nil, nil) }
      throw error
    }
  }

  /// Holds a record from now on.
  private func take(
    _ key: EtcdSubnetKey, _ version: RecordVersion, addresses: [IPAddress], ttl: Duration?, start: Duration
  ) {
    if let held { forget(held) }
    held = HeldRecord(
      key, version, addresses: addresses, ttl: ttl, start: start, margin: settings.renewMargin)
    if spare?.id == version.leaseID { spare = nil }
  }

  /// Notes a write of ours: the next pass needs a view that contains it. Publishes the lease.
  private func wrote(_ revision: Int64) {
    written = EtcdWrite(revision: revision, readsBegun: view.content.readsBegun)
    remember()
    publish()
  }

  /// Writes the versions of our records for the next agent of this node.
  private func remember() {
    let versions = [held].compactMap { $0?.version } + retiring.values.map(\.version).sorted { $0.name < $1.name }
    do {
      try file.write(versions)
    } catch {
      logger.warning("\(error); the next agent of this node may not recognise its lease")
    }
  }

  private func metadata(_ key: EtcdSubnetKey) -> Logger.Metadata {
    ["subnet": "\(key.text)", "node": "\(addresses.first.map { "\($0)" } ?? "")"]
  }
}
