internal import Addresses
internal import Attachments
internal import NodeState

/// Number of addresses that pods hold of one of this node's subnets.
struct AddressUse {
  let subnet: IPPrefix
  /// Addresses that pods of any network hold.
  let used: Double
  /// Addresses that pods may hold: all but the network's own, the gateway's, and IPv4's broadcast address.
  let total: Double

  /// Returns the use of each of the lease's subnets.
  static func of(_ lease: SubnetLease, _ pods: HeldAddresses) -> [AddressUse] {
    let held = (try? pods.all()) ?? []
    return lease.subnets.map(\.network).map { subnet in
      var all = 1.0
      for _ in subnet.length..<subnet.family.bitCount { all *= 2 }
      return AddressUse(
        subnet: subnet, used: Double(held.count { subnet.contains($0) }), total: all - (subnet.family == .v4 ? 3 : 2))
    }
  }
}
