internal import Addresses
internal import Lease

/// What this node must do in etcd to have a subnet of its own; pure.
struct LeasePlan {
  let records: EtcdRecords
  let network: EtcdConfig
  /// By which other nodes reach this one, at most one of each family.
  let addresses: [IPAddress]
  /// The record that we hold, by its name and lease: ours even where it tells another address.
  var held: (name: String, leaseID: Int64)?
  /// Subnets that the node had before, the latest first.
  var prior: [IPPrefix]
  /// Subnets that somebody else has got meanwhile, though `records` does not show it yet.
  var refused: Set<IPPrefix> = []

  enum Step: Equatable {
    /// All is as it must be.
    case hold(EtcdRecord)
    /// The record is ours and says something else than it should.
    case update(EtcdRecord)
    /// The record is ours and lacks a family.
    case replace(EtcdRecord, by: EtcdSubnetKey)
    /// There is none of ours.
    case create(EtcdSubnetKey)
    /// Two nodes have got the same addresses; the other one was first.
    case give(up: EtcdRecord, to: EtcdRecord)
    /// No subnet of this family is free.
    case exhausted(IPFamily)
  }

  /// The records of this node; the first is the one to keep where `fits` says so.
  var own: [EtcdRecord] {
    records.sorted.filter { isOwn($0) && $0.key?.problem == nil }.sorted { left, right in
      let ranks = [left, right].map { record in
        (
          fits(record) ? 0 : 1, record.name == held?.name ? 0 : 1,
          record.key.flatMap { prior.firstIndex(of: $0.subnet) } ?? .max, record.createRevision
        )
      }
      return ranks[0] < ranks[1]
    }
  }

  func isOwn(_ record: EtcdRecord) -> Bool {
    if let held, held.name == record.name, held.leaseID == record.leaseID { return true }
    return record.belongs(to: addresses)
  }

  /// Whether the record's subnet may be this node's: one of those that may be claimed, or a reservation anywhere in the
  /// network.
  func fits(_ record: EtcdRecord) -> Bool {
    guard let subnet = record.key?.subnet else { return false }
    if record.leaseID == 0, network.netConf.network(.v4)?.contains(subnet) ?? false { return true }
    return network.allocation.ipv4.contains(subnet)
  }

  func next(_ generator: inout some RandomNumberGenerator) -> Step {
    guard let record = own.first, fits(record), let key = record.key else { return claim(&generator) }
    if record.leaseID != 0, let older = older(than: record) { return .give(up: record, to: older) }
    if wantsIPv6, !hasIPv6(record) {
      guard let ipv6 = choose(.v6, like: key.subnet, except: record, &generator) else { return .exhausted(.v6) }
      return .replace(record, by: EtcdSubnetKey(key.subnet, ipv6))
    }
    return record.tells(addresses) ? .hold(record) : .update(record)
  }

  /// A node without IPv6 address keeps IPv4 for itself.
  private var wantsIPv6: Bool {
    network.allocation.ipv6 != nil && addresses.contains { $0.family == .v6 }
  }

  private func hasIPv6(_ record: EtcdRecord) -> Bool {
    guard let subnet = record.key?.ipv6Subnet else { return false }
    if record.leaseID == 0 { return network.netConf.network(.v6)?.contains(subnet) ?? false }
    return network.allocation.ipv6?.contains(subnet) ?? false
  }

  /// Somebody else's record with addresses of this one that was there first.
  private func older(than record: EtcdRecord) -> EtcdRecord? {
    IPFamily.allCases.compactMap(record.subnet).flatMap(records.overlapping).first { other in
      other.createRevision < record.createRevision && !isOwn(other)
    }
  }

  private func claim(_ generator: inout some RandomNumberGenerator) -> Step {
    guard let subnet = choose(.v4, like: nil, except: nil, &generator) else { return .exhausted(.v4) }
    guard wantsIPv6 else { return .create(EtcdSubnetKey(subnet, nil)) }
    guard let ipv6 = choose(.v6, like: subnet, except: nil, &generator) else { return .exhausted(.v6) }
    return .create(EtcdSubnetKey(subnet, ipv6))
  }

  /// A free subnet: one that the node had before, else any.
  ///
  /// - Parameter like: the node's IPv4 subnet; the IPv6 one at the same place is taken where it is free, so that nodes
  ///   that differ in one differ in the other.
  private func choose(
    _ family: IPFamily, like: IPPrefix?, except record: EtcdRecord?, _ generator: inout some RandomNumberGenerator
  ) -> IPPrefix? {
    guard let range = network.allocation.range(family) else { return nil }
    let taken = records.sorted.filter { $0.name != record?.name }.compactMap { $0.subnet(family) }
    let free = FreeSubnets(range, taken: taken + refused.filter { $0.family == family })
    if let before = prior.first(where: free.contains) { return before }
    if let like, let position = network.allocation.ipv4.position(like), let beside = range.subnet(position),
      free.contains(beside)
    {
      return beside
    }
    return free.random(&generator)
  }
}
