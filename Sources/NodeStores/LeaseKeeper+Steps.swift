internal import Addresses
internal import Lease
internal import Linux
internal import Logging
internal import NodeRoutes

extension LeaseKeeper {
  /// Takes over the record as it is; false where it must get another lease first, which is done.
  func hold(_ record: EtcdRecord, lasting plan: LeasePlan) async throws -> Bool {
    guard let key = record.key else { return false }
    if held?.name != record.name || held?.leaseID != record.leaseID {
      var ttl: Duration?
      let start = MonotonicTime.now
      if record.leaseID != 0 {
        ttl = try await client.keepAlive(record.leaseID)
        let granted = try await client.timeToLive(record.leaseID)?.granted
        guard ttl != nil, granted == settings.ttl else {
          try await update(record)
          return false
        }
      }
      held = HeldLease(
        key, name: record.name, leaseID: record.leaseID, ttl: ttl, start: start, margin: settings.renewMargin)
      logger.info("lease found", metadata: metadata(key))
    }
    publish()
    return true
  }

  /// Writes the record anew where nobody has changed it since: with our addresses, and a lease that lasts as long as it
  /// should. A reservation stays one.
  func update(_ record: EtcdRecord) async throws {
    guard let key = record.key else { return }
    let value = try EtcdRecord.value(addresses)
    var lease: (lease: EtcdClient.Lease, start: Duration)?
    var id = record.leaseID
    // Only a lease that we have made or examined is sure to last as it should.
    if id != 0, held?.leaseID != id {
      lease = try await granted()
      id = lease?.lease.id ?? 0
    }
    switch try await client.update(record.name, value, leaseID: id, since: record.modRevision) {
    case .done(let revision):
      if held?.leaseID != id || held?.name != record.name {
        held = HeldLease(
          key, name: record.name, leaseID: id, ttl: lease?.lease.ttl, start: lease?.start ?? .zero,
          margin: settings.renewMargin)
        spare = nil
      }
      wrote(revision)
      logger.info("lease renewed in etcd", metadata: metadata(key))
    case .conflict(let found):
      // Where it is our own writing that had no answer the watch tells it.
      logger.info("\(record.name) has changed meanwhile", metadata: ["found": "\(found.count)"])
    }
  }

  /// Claims a subnet; false where somebody else has it.
  func create(_ key: EtcdSubnetKey) async throws -> Bool {
    let before = priorSubnets()
    let (lease, start) = try await granted()
    switch try await client.create(key, try EtcdRecord.value(addresses), leaseID: lease.id) {
    case .conflict(let found) where !found.contains(where: { $0.leaseID == lease.id }):
      refused.subnets.insert(key.subnet)
      return false
    case .conflict(let found):
      // Our own writing, of which the answer was lost.
      took(key, lease, start, found.map(\.modRevision).max() ?? 0)
    case .done(let revision):
      took(key, lease, start, revision)
    }
    if let old = before.first, !before.contains(key.subnet) {
      logger.warning("this node has another subnet now: \(key.subnet); it had \(old)", metadata: metadata(key))
    } else {
      logger.info("lease claimed", metadata: metadata(key))
    }
    return true
  }

  /// Puts a record with both families in place of ours; false where somebody else has that.
  func replace(_ record: EtcdRecord, by key: EtcdSubnetKey) async throws -> Bool {
    let isReservation = record.leaseID == 0
    let lease = isReservation ? nil : try await granted()
    let value = try EtcdRecord.value(addresses)
    switch try await client.replace(
      record.name, since: record.modRevision, by: key, value, leaseID: lease?.lease.id ?? 0)
    {
    case .done(let revision):
      if let lease {
        took(key, lease.lease, lease.start, revision)
      } else {
        held = HeldLease(key, name: key.text, leaseID: 0, ttl: nil, start: .zero, margin: .zero)
        wrote(revision)
      }
      logger.info("lease has IPv6 now", metadata: metadata(key))
      return true
    case .conflict:
      return false
    }
  }

  /// Two nodes claimed what overlaps, under different names; the later one steps back.
  func giveUp(_ record: EtcdRecord, to other: EtcdRecord) async throws {
    lost("\(record.name) overlaps \(other.name) of \(other.nodeName), which is older: this node takes another subnet")
    if case .done(let revision) = try await client.remove(record.name, since: record.modRevision) {
      if held?.name == record.name { held = nil }
      wrote(revision)
    }
  }

  /// Our records beside the one that we hold: what pods still live in stays alive, the rest is given back.
  func tendOthers(_ records: some Sequence<EtcdRecord>) async throws {
    var kept: [String: HeldLease] = [:]
    for record in records where record.leaseID != 0 {
      guard let key = record.key else { continue }
      if [key.subnet, key.ipv6Subnet].compactMap({ $0 }).contains(where: settings.hasPods) {
        let start = MonotonicTime.now
        if let old = retiring[record.name], !old.isDue {
          kept[record.name] = old
        } else if let ttl = try await client.keepAlive(record.leaseID) {
          kept[record.name] = HeldLease(
            key, name: record.name, leaseID: record.leaseID, ttl: ttl, start: start, margin: settings.renewMargin)
        }
      } else if case .done = try await client.remove(record.name, since: record.modRevision) {
        logger.info("an earlier subnet of this node is given back", metadata: ["subnet": "\(key.text)"])
      }
    }
    let isNew = Set(kept.keys) != Set(retiring.keys)
    retiring = kept
    if isNew { publish() }
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
        lost("etcd has dropped the lease of \(lease.key.text)")
        lease.tryAgain(after: .seconds(1))
        held = lease
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

  private func took(_ key: EtcdSubnetKey, _ lease: EtcdClient.Lease, _ start: Duration, _ revision: Int64) {
    held = HeldLease(
      key, name: key.text, leaseID: lease.id, ttl: lease.ttl, start: start, margin: settings.renewMargin)
    spare = nil
    wrote(revision)
    publish()
  }

  private func wrote(_ revision: Int64) {
    written = (view.content.generation, revision)
  }

  private func metadata(_ key: EtcdSubnetKey) -> Logger.Metadata {
    ["subnet": "\(key.text)", "node": "\(addresses.first.map { "\($0)" } ?? "")"]
  }
}

extension LeaseKeeper {
  /// Tells everybody that the lease is held, and this node's subnets to whoever makes routes.
  func publish() {
    guard let held else { return }
    show(held.subnets)
    conditions.leaseIs(
      .held, subnets: held.subnets + retiring.values.flatMap(\.subnets), expiry: held.expirySinceEpoch)
  }

  /// What pods have now goes on as it is, where a file says so and no lease has been got.
  func publishEarlier() -> [IPPrefix] {
    if let own = view.content.own { return IPFamily.allCases.compactMap(own.subnet) }
    guard !addresses.isEmpty, let file = settings.files.first,
      let lease = (try? SubnetLease.read(file)) ?? nil
    else { return [] }
    let subnets = lease.subnets.map(\.network)
    show(subnets)
    return subnets
  }

  private func show(_ subnets: [IPPrefix]) {
    var own = Node(name: addresses.first?.description ?? "", addresses: addresses)
    for subnet in subnets { own.setSubnet(subnet) }
    if view.content.own != own { view.update { $0.own = own } }
  }

  func lost(_ reason: String) {
    if conditions.leaseIs(.lost(reason), subnets: held?.subnets ?? [], expiry: nil) {
      logger.error("lease lost: \(reason); this node's pods and routes stay as they are")
    }
  }

  func exhausted(_ family: IPFamily, _ config: EtcdConfig) {
    let range = config.allocation.range(family).map { "\($0.first) to \($0.last)" } ?? "\(family)"
    let reason =
      "no subnet is free from \(range): remove leases of nodes that are no more, or widen the network; it is tried again"
    if conditions.leaseIs(.refused(reason), subnets: publishEarlier(), expiry: nil) { logger.error("\(reason)") }
  }
}
