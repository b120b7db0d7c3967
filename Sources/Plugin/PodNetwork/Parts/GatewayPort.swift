internal import Addresses
internal import Attachments
internal import CNI
internal import Glibc
internal import Linux
internal import Netlink
internal import NodeState

/// The node's own port in a VLAN: a veth pair of which one end has the gateways' addresses and the other is a port of
/// the bridge. The bridge itself is in its default VLAN only.
struct GatewayPort {
  /// The end with the addresses, `<bridge>.<vlan>` as in the reference.
  let name: String
  /// The end in the bridge, by a name that is short enough for every bridge's name.
  var portName: String { "vlan" + hexadecimal(stableHash(name.utf8) >> 32, digits: 8) }
}

extension Bridge {
  /// Makes the node's port in a VLAN, or finds the one that is there.
  ///
  /// Every step may be taken twice and by two ADDs at once, and the port comes up last: a port that is up is complete. The
  /// next ADD completes what a killed one began.
  func ensureGatewayPort(in vlan: VLANs, mtuBytes: Int?, _ host: inout HostNetwork) throws(PodNetworkError) -> Link {
    let gateway = GatewayPort(name: try vlan.gatewayLinkName(bridge: link.name))
    if try fromNetlink(host.socket.link(named: gateway.name)) == nil {
      host.undo.push(.gatewayPort(gateway))
      try gateway.make(mtuBytes: mtuBytes, &host.socket)
    }
    let (own, port) = try gateway.find(bridge: self, vlan, &host.socket)
    // The reference leaves its gateway's port in the default VLAN too.
    let isInOthers =
      try fromNetlink(host.socket.bridgeMembers()).first { $0.linkIndex == port.index }?.vlans
      != vlan.joined(defaultID: link.vlanFilter?.defaultID ?? 0)
    let isTooLong = mtuBytes.map { $0 < own.mtuBytes || $0 < port.mtuBytes } ?? false
    if !own.isUp || !port.isUp || port.masterIndex != link.index || isInOthers || isTooLong {
      // The node must send no longer frames than pods accept; the kernel ensures it for the bridge itself.
      let mtuBytes = isTooLong ? mtuBytes : nil
      // The link-local address must be usable at once, as the bridge's must.
      try fromSystem(Sysctl.ensureIfPresent("net/ipv6/conf/\(own.name)/accept_dad", "0"))
      var steps = [NetlinkRequest.changeLink(port.index, name: port.name, LinkChange(masterIndex: link.index))]
      steps += vlan.requests(port, of: self)
      steps += [own, port].map { .changeLink($0.index, name: $0.name, LinkChange(isUp: true, mtuBytes: mtuBytes)) }
      for step in steps { try fromNetlink(host.socket.perform(step)) }
    }
    if port.port?.state != 3 { try host.socket.waitUntilForwarding(port: port.name) }
    return own
  }
}

extension GatewayPort {
  /// Makes the veth pair, unless a name is taken. Both MACs are set, so that udev changes none.
  fileprivate func make(mtuBytes: Int?, _ host: inout RouteSocket) throws(PodNetworkError) {
    var generator = SystemRandomNumberGenerator()
    let here = try fromSystem(NetworkNamespace.current())
    try fromNetlink(
      host.perform(
        .addVethPair(
          host: VethEnd(name: name, mac: .random(using: &generator), mtuBytes: mtuBytes),
          pod: VethEnd(name: portName, mac: .random(using: &generator), mtuBytes: mtuBytes), in: here),
        accepting: EEXIST))
  }

  /// Finds both ends. A port that is in no bridge yet belongs to another ADD, which is about to add it.
  ///
  /// - Throws: code 7 where other links have the names.
  fileprivate func find(bridge: Bridge, _ vlan: VLANs, _ host: inout RouteSocket) throws(PodNetworkError) -> (
    own: Link, port: Link
  ) {
    guard let own = try fromNetlink(host.link(named: name)) else {
      throw PodNetworkError(
        .invalidConfiguration, "the gateway of \(vlan.key) cannot be made: the name \"\(portName)\" is taken",
        details: "remove or rename that link")
    }
    guard own.kind == "veth", let peerIndex = own.peerIndex, let port = try fromNetlink(host.link(index: peerIndex)),
      port.peerIndex == own.index, [nil, bridge.link.index].contains(port.masterIndex)
    else {
      throw PodNetworkError(
        .invalidConfiguration, "\"\(name)\" already exists but is not the gateway of \(vlan.key)",
        details: "remove or rename that link; ADD makes a veth pair between the node and the bridge "
          + "\"\(bridge.link.name)\" of this name")
    }
    return (own, port)
  }

  /// Removes the pair that a failed ADD made, unless another one now uses it.
  func removeUnused(_ state: StateDirectory, _ host: inout RouteSocket) throws(PodNetworkError) {
    guard let claim = try? state.claimBridge(), let own = try fromNetlink(host.link(named: name)) else { return }
    if try fromNetlink(host.addresses(on: own.index)).allSatisfy({ $0.prefix.address.isLinkLocal }) {
      try fromNetlink(host.perform(.removeLink(own.index, name: name), accepting: ENODEV))
    }
    _ = consume claim
  }
}
