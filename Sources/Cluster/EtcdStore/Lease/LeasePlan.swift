internal import Addresses
internal import Nodes

/// What this node must do in etcd to have a subnet of its own; pure. Each family stands on its own: what IPv6 lacks costs
/// nobody IPv4.
struct LeasePlan {
  let ownership: RecordOwnership
  let network: EtcdConfig
  /// Subnets that somebody else has got meanwhile, though the records do not show it yet.
  var refused: Set<IPPrefix> = []

  private var records: EtcdRecords { ownership.records }

  enum Step: Equatable {
    /// All is as it must be.
    case hold(EtcdRecord)
    /// The record is ours and says something else than it should.
    case update(EtcdRecord)
    /// The record is ours, and its IPv6 part is missing or another node's.
    case replace(EtcdRecord, by: EtcdSubnetKey)
    /// The record is ours with an IPv6 part that the network no longer has, in which pods may live.
    case add(EtcdSubnetKey, beside: EtcdRecord)
    /// There is none of ours.
    case create(EtcdSubnetKey)
    /// Two nodes have got the same IPv4 addresses; the other one was first.
    case give(up: EtcdRecord, to: EtcdRecord)
    /// No IPv4 subnet is free.
    case exhausted
  }

  /// The records of this node; the first is the one to keep where `fits` says so.
  var own: [EtcdRecord] {
    let known = ownership.own
    return (known.isEmpty ? ownership.adoptable : known).sorted { left, right in
      let ranks = [left, right].map { record in
        (
          fits(record) ? 0 : 1, lacksIPv6(record) ? 1 : 0, record.name == ownership.held?.name ? 0 : 1,
          record.key.flatMap { ownership.prior.firstIndex(of: $0.subnet) } ?? .max, record.createRevision
        )
      }
      return ranks[0] < ranks[1]
    }
  }

  /// Whether the record's subnet may be this node's: one of those that may be claimed, or a reservation anywhere in the
  /// network.
  func fits(_ record: EtcdRecord) -> Bool {
    guard let subnet = record.key?.subnet else { return false }
    return isAllowed(subnet, record)
  }

  func next(_ generator: inout some RandomNumberGenerator) -> Step {
    guard let record = own.first, fits(record), let key = record.key else { return claim(&generator) }
    if record.leaseID != 0, let older = older(than: record, .v4) { return .give(up: record, to: older) }
    if record.leaseID != 0, older(than: record, .v6) != nil {
      return .replace(
        record, by: EtcdSubnetKey(key.subnet, wantsIPv6 ? chooseIPv6(beside: key.subnet, &generator) : nil))
    }
    if lacksIPv6(record), let ipv6 = chooseIPv6(beside: key.subnet, &generator) {
      let both = EtcdSubnetKey(key.subnet, ipv6)
      return key.ipv6Subnet == nil ? .replace(record, by: both) : .add(both, beside: record)
    }
    return record.tells(addresses(toldBy: record), in: network.netConf.backend) ? .hold(record) : .update(record)
  }

  /// What a record should tell of this node's addresses.
  func addresses(toldBy record: EtcdRecord?) -> [IPAddress] {
    ownership.addresses(in: network.netConf.families, toldBy: record)
  }

  /// Why this node has no IPv6 subnet though it could use one, where `next` found none for it; `nil` where it has.
  func shortage(_ key: EtcdSubnetKey, isReservation: Bool) -> String? {
    guard wantsIPv6, !hasIPv6(key, isReservation: isReservation) else { return nil }
    return LeasePlan.exhaustion(.v6, network) + "; this node has IPv4 only until then"
  }

  /// That a family's range is full, and what to do.
  static func exhaustion(_ family: IPFamily, _ network: EtcdConfig) -> String {
    let range = network.allocation.range(family).map { "\($0.first) to \($0.last)" } ?? "\(family)"
    return
      "no subnet is free from \(range): remove leases of nodes that are no more, or widen the network; it is tried again"
  }

  /// A node without IPv6 address keeps IPv4 for itself.
  private var wantsIPv6: Bool {
    network.allocation.ipv6 != nil && ownership.addresses.contains { $0.family == .v6 }
  }

  private func lacksIPv6(_ record: EtcdRecord) -> Bool {
    guard let key = record.key else { return false }
    return wantsIPv6 && !hasIPv6(key, isReservation: record.leaseID == 0)
  }

  private func hasIPv6(_ key: EtcdSubnetKey, isReservation: Bool) -> Bool {
    guard let subnet = key.ipv6Subnet else { return false }
    return isAllowed(subnet, isReservation: isReservation)
  }

  private func isAllowed(_ subnet: IPPrefix, _ record: EtcdRecord) -> Bool {
    isAllowed(subnet, isReservation: record.leaseID == 0)
  }

  private func isAllowed(_ subnet: IPPrefix, isReservation: Bool) -> Bool {
    if isReservation, network.netConf.network(subnet.family)?.contains(subnet) ?? false { return true }
    return network.allocation.range(subnet.family)?.contains(subnet) ?? false
  }

  /// Somebody else's record with addresses of this one that was there first.
  private func older(than record: EtcdRecord, _ family: IPFamily) -> EtcdRecord? {
    record.subnet(family).flatMap { subnet in
      records.overlapping(subnet).first { other in
        other.createRevision < record.createRevision && !ownership.isOwn(other)
          && !other.belongs(to: ownership.addresses)
      }
    }
  }

  private func claim(_ generator: inout some RandomNumberGenerator) -> Step {
    guard let subnet = choose(.v4, beside: nil, &generator) else { return .exhausted }
    return .create(EtcdSubnetKey(subnet, wantsIPv6 ? chooseIPv6(beside: subnet, &generator) : nil))
  }

  private func chooseIPv6(beside subnet: IPPrefix, _ generator: inout some RandomNumberGenerator) -> IPPrefix? {
    choose(.v6, beside: subnet, &generator)
  }

  /// A free subnet: one that the node had before, else any.
  ///
  /// - Parameter other: the node's IPv4 subnet; the IPv6 one at the same place is taken where it is free, so that nodes
  ///   that differ in one differ in the other.
  private func choose(
    _ family: IPFamily, beside other: IPPrefix?, _ generator: inout some RandomNumberGenerator
  ) -> IPPrefix? {
    guard let range = network.allocation.range(family) else { return nil }
    // A key that no node can have, which may be as wide as the network, is nobody's subnet.
    let taken = records.sorted.compactMap { $0.key?.problem == nil ? $0.subnet(family) : nil }
    let free = FreeSubnets(range, taken: taken + refused.filter { $0.family == family })
    if let before = ownership.prior.first(where: free.contains) { return before }
    if let other, let position = network.allocation.ipv4.position(other), let beside = range.subnet(position),
      free.contains(beside)
    {
      return beside
    }
    return free.random(&generator)
  }
}
