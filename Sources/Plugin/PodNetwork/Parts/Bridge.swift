internal import Addresses
internal import CNI
internal import Glibc
internal import Linux
internal import Netlink
internal import NodeState

/// The bridge that a node's pods are connected to.
struct Bridge {
  let link: Link
  /// MAC that the bridge keeps from now on.
  let mac: MACAddress?

  /// Makes the bridge or adopts the one that is there.
  static func ensure(_ spec: BridgeSpec, _ host: inout HostNetwork) throws(PodNetworkError) -> Bridge {
    let name = spec.name
    var found = try fromNetlink(host.socket.link(named: name))
    if found == nil {
      var generator = SystemRandomNumberGenerator()
      // The kernel keeps the bridge's MTU at the least of its ports' (net/bridge/br_if.c).
      host.undo.push(.bridge(name))
      if try fromNetlink(
        host.socket.perform(.addBridge(name: name, mac: .random(using: &generator)), accepting: EEXIST))
      {
        // The bridge gets its link-local address with the first port. The address must be usable at once: without it the
        // node finds no neighbour over IPv6.
        try fromSystem(Sysctl.ensureIfPresent("net/ipv6/conf/\(name)/accept_dad", "0"))
        // No pod becomes the node's router by advertising itself as one, as it could where the node forwards no IPv6.
        try fromSystem(Sysctl.ensureIfPresent("net/ipv6/conf/\(name)/accept_ra", "0"))
      }
      found = try fromNetlink(host.socket.link(named: name))
    }
    guard let link = found else {
      throw PodNetworkError(.failed, "the bridge \(name) was removed while it was set up")
    }
    guard link.kind == "bridge" else {
      throw PodNetworkError(
        .invalidConfiguration, "\"\(name)\" already exists but is not a bridge",
        details: "it is \(link.kind ?? "a device"): name another bridge, or remove the link")
    }
    let mac = try keptMAC(of: link, &host.socket)
    if !link.isUp || (spec.isPromiscuous && !link.isPromiscuous) {
      try fromNetlink(
        host.socket.perform(
          .changeLink(
            link.index, name: name,
            LinkChange(isUp: true, isPromiscuous: spec.isPromiscuous ? true : nil))))
    }
    return Bridge(link: link, mac: mac)
  }

  /// Puts the gateways' addresses on a link, the bridge or the node's own port in a VLAN, and lets the node forward.
  ///
  /// A gateway of the node's lease joins the addresses that are there: a lease may change while pods of the old one still
  /// run. Beside a gateway of the configuration, another address is an error as in the reference, unless `forceAddress`.
  ///
  /// - Returns: whether other addresses than these remain, which may be a former lease's.
  func ensureGateways(
    _ gateways: [IPPrefix], _ spec: GatewaySpec, on link: Link, areFromLease: Bool, _ host: inout HostNetwork
  ) throws(PodNetworkError) -> Bool {
    let present = try fromNetlink(host.socket.addresses(on: link.index)).map { $0.prefix }
    for gateway in gateways where !present.contains(gateway) {
      if !areFromLease {
        for other in present where Bridge.conflicts(other, gateway) {
          guard spec.forcesAddress else {
            throw PodNetworkError(
              .invalidConfiguration, "\"\(link.name)\" already has an IP address different from \(gateway)",
              details: "it has \(other): remove it, use another bridge, or set forceAddress")
          }
          host.undo.push(.forcedAway(other, bridgeIndex: link.index))
          try fromNetlink(host.socket.perform(.removeAddress(other, from: link.index), accepting: EADDRNOTAVAIL))
        }
      }
      host.undo.push(.gateway(gateway, spec.link))
      // Once before, for the ADD after one that is killed here; once after, for pods that came meanwhile.
      try host.socket.answerForRoutedPods(in: gateway.network, on: link)
      try Bridge.addGateway(gateway, to: link, owner: areFromLease ? RouteProtocol.plugin : nil, &host.socket)
      // As for a new bridge. A bridge without gateways may be the node's own uplink, and is left alone.
      try fromSystem(Sysctl.ensureIfPresent("net/ipv6/conf/\(link.name)/accept_ra", "0"))
      try host.socket.answerForRoutedPods(in: gateway.network, on: link)
    }
    for family in IPFamily.allCases where gateways.contains(where: { $0.family == family }) {
      try Bridge.enableForwarding(family)
    }
    return present.contains { !gateways.contains($0) && !$0.address.isLinkLocal }
  }

  /// Adds a gateway's address. A lease's gateway is marked as the plugin's, which removes it when the lease has changed.
  private static func addGateway(_ gateway: IPPrefix, to link: Link, owner: UInt8?, _ host: inout RouteSocket)
    throws(PodNetworkError)
  {
    let request = NetlinkRequest.addAddress(gateway, to: link.index, owner: owner)
    do throws(NetlinkError) {
      // EEXIST: another ADD on the same new bridge was first.
      try host.perform(request, accepting: EEXIST)
    } catch {
      guard error.errno == EACCES, gateway.family == .v6 else { throw .netlink(error) }
      // IPv6 is switched off on the bridge, as net.ipv6.conf.default.disable_ipv6 has it.
      try fromSystem(Sysctl.ensure("net/ipv6/conf/\(link.name)/disable_ipv6", "0"))
      try fromNetlink(host.perform(request, accepting: EEXIST))
    }
  }

  /// Whether two addresses exclude each other: any two of IPv4, and those of IPv6 whose networks overlap (link-local ones
  /// never do).
  private static func conflicts(_ present: IPPrefix, _ gateway: IPPrefix) -> Bool {
    present.family == gateway.family && (gateway.family == .v4 || present.overlaps(gateway))
  }

  /// Lets the node forward packets of the family.
  static func enableForwarding(_ family: IPFamily) throws(PodNetworkError) {
    switch family {
    case .v4: try fromSystem(Sysctl.ensure("net/ipv4/ip_forward", "1"))
    case .v6: try fromSystem(Sysctl.ensure("net/ipv6/conf/all/forwarding", "1"))
    }
  }
}
