internal import Addresses
internal import Attachments
internal import NodeState

/// How full one of this node's subnets is.
struct AddressUse {
  let subnet: IPPrefix
  /// Addresses that pods hold, of any network.
  let used: Double
  /// Addresses that pods may hold: neither the network's own, nor the gateway's, nor IPv4's broadcast address.
  let total: Double

  /// Of each of the lease's subnets.
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
