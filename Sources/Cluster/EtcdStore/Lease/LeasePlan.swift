internal import Addresses
internal import Nodes

/// Decides the next step towards a subnet of this node in etcd; pure. The families are independent: a problem of IPv6
/// does not affect IPv4.
struct LeasePlan {
  let ownership: RecordOwnership
  let network: EtcdConfig
  /// Subnets that other nodes have claimed meanwhile, though the records do not show it yet.
  var refused: Set<IPPrefix> = []

  private var records: EtcdRecords { ownership.records }

  enum Step: Equatable {
    /// The record is ours and as desired.
    case hold(EtcdRecord)
    /// The record is ours, but its value differs from the desired one.
    case update(EtcdRecord)
    /// The record is ours, but its IPv6 subnet is missing or belongs to another node.
    case replace(EtcdRecord, by: EtcdSubnetKey)
    /// The record is ours, but its IPv6 subnet lies outside the network. Pods may still use it, so the record remains.
    case add(EtcdSubnetKey, beside: EtcdRecord)
    /// This node has no record.
    case create(EtcdSubnetKey)
    /// The record overlaps an older IPv4 subnet of another node.
    case give(up: EtcdRecord, to: EtcdRecord)
    /// This node has no record, and no IPv4 subnet is free.
    case exhausted
  }

  /// Records of this node in the order of preference. The first is the one to hold, if it fits.
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

  /// Whether a node may hold the record's IPv4 subnet: a subnet of the range that nodes may claim, or a reservation
  /// anywhere in the network.
  func fits(_ record: EtcdRecord) -> Bool {
    guard let subnet = record.key?.subnet else { return false }
    return isAllowed(subnet, record)
  }

  /// The next step.
  ///
  /// - Parameter generator: source of randomness for the choice of a free subnet.
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
    return record.publishes(addresses(publishedBy: record), in: network.netConf.backend)
      ? .hold(record) : .update(record)
  }

  /// Addresses of this node that a record should contain.
  func addresses(publishedBy record: EtcdRecord?) -> [IPAddress] {
    ownership.addresses(in: network.netConf.families, publishedBy: record)
  }

  /// Reason why this node has no IPv6 subnet although it could use one; `nil` if it lacks none.
  func shortage(_ key: EtcdSubnetKey, isReservation: Bool) -> String? {
    guard wantsIPv6, !hasIPv6(key, isReservation: isReservation) else { return nil }
    return LeasePlan.exhaustion(.v6, network) + "; this node has IPv4 only until then"
  }

  /// Message that the range of a family is full, with the remedy.
  static func exhaustion(_ family: IPFamily, _ network: EtcdConfig) -> String {
    let range = network.allocation.range(family).map { "\($0.first) to \($0.last)" } ?? "\(family)"
    return
      "no subnet is free from \(range): remove leases of nodes that no longer exist, or widen the network; the agent tries again"
  }

  /// Whether this node needs an IPv6 subnet: the network has IPv6, and the node has an IPv6 address.
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

  /// Older record of another node that overlaps a record in one family.
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

  /// Chooses a free subnet: one that the node had before if possible, otherwise a random one.
  ///
  /// - Parameter other: the node's IPv4 subnet. The IPv6 subnet at the same position is preferred, so that nodes with
  ///   different IPv4 subnets seldom compete for an IPv6 subnet.
  private func choose(
    _ family: IPFamily, beside other: IPPrefix?, _ generator: inout some RandomNumberGenerator
  ) -> IPPrefix? {
    guard let range = network.allocation.range(family) else { return nil }
    // An invalid key, which may be as wide as the network, takes no subnet.
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
