internal import Addresses
internal import Linux
internal import Netlink
internal import NodeState

/// Makes the node answer on the bridge for these routed pods, which pods of the same subnet there take for neighbours.
/// Does nothing where the bridge is missing or is in other networks.
func answerForPods(_ addresses: [IPAddress], onBridge name: String, _ host: inout RouteSocket) throws(PodNetworkError) {
  guard let bridge = try fromNetlink(host.link(named: name)) else { return }
  let networks = try fromNetlink(host.addresses(on: bridge.index)).map { $0.prefix }
  try host.answer(for: addresses.filter { address in networks.contains { $0.contains(address) } }, on: bridge)
}

extension RouteSocket {
  fileprivate mutating func answer(for addresses: [IPAddress], on link: Link) throws(PodNetworkError) {
    for (family, directory) in [(IPFamily.v4, "ipv4"), (.v6, "ipv6")]
    where addresses.contains(where: { $0.family == family }) {
      // By default the kernel delays its answer up to a second, so that a nearer host may answer (RFC 4861, section 7.2.8).
      try fromSystem(Sysctl.ensureIfPresent("net/\(directory)/neigh/\(link.name)/proxy_delay", "0"))
      if family == .v6 { try fromSystem(Sysctl.ensureIfPresent("net/ipv6/conf/\(link.name)/proxy_ndp", "1")) }
    }
    for failure in try fromNetlink(perform(addresses.map { .answer(for: Neighbour($0, linkIndex: link.index)) })) {
      if let failure { throw .netlink(failure) }
    }
  }

  /// Answers on a link for the routed pods of a network, when the link gets an address of it.
  mutating func answerForRoutedPods(in network: IPPrefix, on link: Link) throws(PodNetworkError) {
    let pods = try fromNetlink(routes(owner: RouteProtocol.plugin, families: [network.family])).map { $0.destination }
      .filter { $0.length == $0.family.bitCount && network.contains($0.address) }
    try answer(for: pods.map { $0.address }, on: link)
  }
}
