internal import Addresses
internal import Attachments
internal import IPAM
internal import Linux
internal import Netfilter
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

  /// Lets the pod send from its own MAC only.
  func guardMAC(_ cable: Cable) throws(NetlinkError) {
    var netfilter = try NetfilterSocket()
    try SpoofGuard.add(port: cable.hostName, mac: cable.podMAC, owner: key, &netfilter)
  }

  /// Lets a routed pod send from its own addresses only.
  func guardSource(_ side: NodeSide) throws(NetlinkError) {
    var netfilter = try NetfilterSocket()
    try SourceGuard.add(link: side.cable.hostName, side.addresses, owner: key, &netfilter)
  }

  /// Whether the link's pod is held to its addresses, this one among them.
  func isGuarded(link: String, source: IPAddress) throws(NetlinkError) -> Bool {
    var netfilter = try NetfilterSocket()
    return try SourceGuard.holds(link: link, source, owner: key, &netfilter)
  }

  /// Removes the rules of these addresses, and those of the host's end, as far as they are this attachment's.
  func removeRules(
    of addresses: [IPAddress], port: String, mac: MACAddress?, _ netfilter: inout NetfilterSocket
  ) throws {
    var failures = Failures()
    failures.attempt { try SpoofGuard.remove(port: port, mac: mac, owner: key, &netfilter) }
    failures.attempt { try SourceGuard.remove(link: port, addresses, owner: key, &netfilter) }
    if !addresses.isEmpty { failures.attempt { try Masquerade.remove(addresses, owner: key, &netfilter) } }
    try failures.throwFirst()
  }

  /// Whether the host's end is held to this MAC.
  func isGuarded(port: String, mac: MACAddress) throws(NetlinkError) -> Bool {
    var netfilter = try NetfilterSocket()
    return try SpoofGuard.holds(port: port, mac: mac, owner: key, &netfilter)
  }

  /// Removes the rules of the network's attachments that are not among the valid ones.
  static func collectRules(network: String, keeping valid: Set<String>) throws {
    var netfilter = try NetfilterSocket()
    let prefix = keyPrefix(network: network)
    var failures = Failures()
    failures.attempt { try Masquerade.collect(keeping: valid, &netfilter) { $0.hasPrefix(prefix) } }
    failures.attempt { try SpoofGuard.collect(keeping: valid, &netfilter) { $0.hasPrefix(prefix) } }
    failures.attempt { try SourceGuard.collect(keeping: valid, &netfilter) { $0.hasPrefix(prefix) } }
    try failures.throwFirst()
  }
}
