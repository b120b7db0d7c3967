internal import CNI
internal import Glibc
internal import Linux
internal import Netlink
internal import NodeState

/// Bridges that filter VLANs.
extension Bridge {
  /// Switches VLAN filtering on where it is off, if that disconnects no port.
  ///
  /// On a bridge that does not filter, a pod of VLAN 100 would share the traffic of all ports. The reference leaves such a
  /// bridge as it is, which gives no VLAN. Filtering changes nothing for ports that are all in one VLAN without tag, as
  /// the kernel puts every port into VLAN 1. It affects senders of tagged frames: a port that is no veth, such as an
  /// uplink or a virtual machine's tap, and the node's own VLAN devices on the bridge.
  ///
  /// - Throws: code 2 where the kernel cannot filter, code 7 where a port would be disconnected.
  func ensureVLANFilter(_ vlans: VLANs, _ host: inout HostNetwork) throws(PodNetworkError) {
    guard let filter = link.vlanFilter else {
      throw PodNetworkError(
        .unsupportedField, "\(vlans.key) is not supported: this kernel's bridges do not filter VLANs",
        details: "remove the key, or use a kernel that was built with CONFIG_BRIDGE_VLAN_FILTERING")
    }
    guard !filter.isOn else { return }
    if let obstacle = try obstacleToVLANFilter(&host.socket) {
      // Another ADD may have switched it on since, and put its port into its VLAN.
      if try fromNetlink(host.socket.link(index: link.index))?.vlanFilter?.isOn == true { return }
      throw PodNetworkError(
        .invalidConfiguration, "the bridge \"\(link.name)\" does not filter VLANs, as \(vlans.key) needs it to",
        details: "it is left as it is, because \(obstacle): put its ports into their VLANs and run "
          + "`ip link set \(link.name) type bridge vlan_filtering 1`, or name another bridge")
    }
    host.undo.push(.vlanFilter(self))
    try fromNetlink(host.socket.perform(.filterVLANs(true, of: link.index, name: link.name)))
  }

  /// Reason why the filter must not be switched on; `nil` where it affects no port.
  private func obstacleToVLANFilter(_ host: inout RouteSocket) throws(PodNetworkError) -> String? {
    let links = try fromNetlink(host.links())
    let ports = links.filter { $0.masterIndex == link.index }
    if let stacked = links.first(where: { $0.kind == "vlan" && $0.peerIndex == link.index }) {
      return "\(stacked.name) on it sends tagged frames"
    }
    if let other = ports.first(where: { $0.kind != "veth" }) { return "its port \(other.name) may carry tagged frames" }
    let members = try members(&host)
    guard !ports.isEmpty, let first = members.first else { return nil }
    return first.untaggedID != nil && members.allSatisfy { $0.untaggedID == first.untaggedID }
      ? nil : "its ports are not all in one VLAN"
  }

  /// Switches the filter off again, unless a port is now in a VLAN of its own.
  func removeVLANFilter(_ state: StateDirectory, _ host: inout RouteSocket) throws(PodNetworkError) {
    guard let claim = try? state.claimBridge(), try fromNetlink(host.link(index: link.index)) != nil else { return }
    let members = try members(&host)
    if members.allSatisfy({ $0.vlans.count <= 1 && $0.untaggedID == members.first?.untaggedID }) {
      try fromNetlink(host.perform(.filterVLANs(false, of: link.index, name: link.name), accepting: ENODEV))
    }
    _ = consume claim
  }

  /// The bridge's ports, and the bridge itself as the node's port.
  private func members(_ host: inout RouteSocket) throws(PodNetworkError) -> [BridgeMember] {
    try fromNetlink(host.bridgeMembers()).filter { $0.bridgeIndex == link.index }
  }
}

extension VLANs {
  /// Puts a new port into its VLANs, before anything can be sent through it.
  func join(_ pair: VethPair, to bridge: Bridge, _ host: inout RouteSocket) throws(PodNetworkError) {
    guard let port = try fromNetlink(host.link(named: pair.hostName)) else {
      throw PodNetworkError(.failed, "the bridge's port \(pair.hostName) was removed while it was set up")
    }
    for request in requests(port, of: bridge) { try fromNetlink(host.perform(request)) }
  }

  /// Requests that take a port out of the VLAN that the bridge has put it into, and put it into its own.
  func requests(_ port: Link, of bridge: Bridge) -> [NetlinkRequest] {
    let defaultID = bridge.link.vlanFilter?.defaultID ?? 0
    let left = left(defaultID: defaultID).map { [NetlinkRequest.removeVLAN($0, from: port.index, name: port.name)] }
    let joined = joined(defaultID: defaultID)
    return (left ?? []) + (joined.isEmpty ? [] : [.addVLANs(joined, to: port.index, name: port.name)])
  }
}
