internal import Addresses
internal import IPAM
internal import Linux
internal import Netlink
internal import PodRules

/// An attachment's rules on the node.
extension Attachment {
  /// Masquerades the pod's addresses, but towards its own subnets and the cluster's networks.
  func masquerade(_ addresses: PodAddresses, clusterNetworks: [IPPrefix]) throws(NetlinkError) {
    var netfilter = try NetfilterSocket()
    let own = addresses.prefixes.map(\.network)
    let direct = own + clusterNetworks.filter { !own.contains($0) }
    try Masquerade.add(
      addresses.hosts, owner: key, network: network, direct: direct, &netfilter)
  }

  /// Whether the address has the rule that ADD made.
  func isMasqueraded(_ address: IPAddress) throws(NetlinkError) -> Bool {
    var netfilter = try NetfilterSocket()
    return try Masquerade.holds(address, owner: key, &netfilter)
  }

  /// Removes the rules of these addresses as far as they are this attachment's.
  func removeRules(of addresses: [IPAddress]) throws(NetlinkError) {
    guard !addresses.isEmpty else { return }
    var netfilter = try NetfilterSocket()
    try Masquerade.remove(addresses, owner: key, &netfilter)
  }

  /// Removes the rules of the network's attachments that are not among the valid ones.
  static func collectRules(network: String, keeping valid: Set<String>) throws(NetlinkError) {
    var netfilter = try NetfilterSocket()
    let prefix = keyPrefix(network: network)
    try Masquerade.collect(keeping: valid, &netfilter) { $0.hasPrefix(prefix) }
  }
}
