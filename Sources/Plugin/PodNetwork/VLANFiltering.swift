internal import CNI
internal import Glibc
internal import Linux
internal import Netlink
internal import NodeState

/// A bridge that tells VLANs apart.
extension Bridge {
  /// Switches VLAN filtering on where it is off, and that cuts nobody off.
  ///
  /// On a bridge that does not filter, a pod of VLAN 100 would hear and be heard by everybody, so the reference's way, to
  /// leave such a bridge as it is, gives no VLAN. To switch it on changes nothing for ports that all are in one VLAN
  /// without tag, as the kernel puts every port into VLAN 1. What could notice is whoever sends tagged frames: a link
  /// that is no veth, such as an uplink or a virtual machine's tap, and the node's own VLAN devices on the bridge.
  ///
  /// - Throws: code 2 where the kernel cannot filter, code 7 where somebody would be cut off.
  func ensureVLANFilter(
    _ vlans: VLANs, _ state: StateDirectory, _ host: inout RouteSocket, _ undo: inout Undo
  ) throws {
    guard let filter = link.vlanFilter else {
      throw CNIError(
        .unsupportedField, "\(vlans.key) is not supported: this kernel's bridges do not filter VLANs",
        details: "remove the key, or use a kernel that was built with CONFIG_BRIDGE_VLAN_FILTERING")
    }
    guard !filter.isOn else { return }
    if let obstacle = try obstacleToVLANFilter(&host) {
      // Another ADD may have switched it on, and put its port into its VLAN, since the bridge was looked at.
      if try host.link(index: link.index)?.vlanFilter?.isOn == true { return }
      throw CNIError(
        .invalidConfiguration, "the bridge \"\(link.name)\" does not filter VLANs, as \(vlans.key) needs it to",
        details: "it is left as it is, because \(obstacle): put its ports into their VLANs and run "
          + "`ip link set \(link.name) type bridge vlan_filtering 1`, or name another bridge")
    }
    undo.push(.vlanFilter(self, state))
    try host.perform(.filterVLANs(true, of: link.index, name: link.name))
  }

  /// Why the filter must not be switched on; `nil` where nobody would notice.
  private func obstacleToVLANFilter(_ host: inout RouteSocket) throws(NetlinkError) -> String? {
    let links = try host.links()
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

  /// Switches the filter off again, unless a port is in a VLAN by now that only a filter keeps apart.
  func removeVLANFilter(_ state: StateDirectory, _ host: inout RouteSocket) throws {
    guard let claim = try? state.claimBridge(), try host.link(index: link.index) != nil else { return }
    let members = try members(&host)
    if members.allSatisfy({ $0.vlans.count <= 1 && $0.untaggedID == members.first?.untaggedID }) {
      try host.perform(.filterVLANs(false, of: link.index, name: link.name), accepting: ENODEV)
    }
    _ = consume claim
  }

  /// The bridge's ports, and the bridge itself as the node's.
  private func members(_ host: inout RouteSocket) throws(NetlinkError) -> [BridgeMember] {
    try host.bridgeMembers().filter { $0.bridgeIndex == link.index }
  }
}

extension VLANs {
  /// Puts a new port into its VLANs, before anything can be sent through it.
  func join(_ cable: Cable, to bridge: Bridge, _ host: inout RouteSocket) throws {
    guard let port = try host.link(named: cable.hostName) else {
      throw CNIError(.failed, "the bridge's port \(cable.hostName) went away while it was set up")
    }
    for request in requests(port, of: bridge) { try host.perform(request) }
  }

  /// What takes a port out of the VLAN that the bridge has put it into, and puts it into its own.
  func requests(_ port: Link, of bridge: Bridge) -> [NetlinkRequest] {
    let defaultID = bridge.link.vlanFilter?.defaultID ?? 0
    let left = left(defaultID: defaultID).map { [NetlinkRequest.removeVLAN($0, from: port.index, name: port.name)] }
    let joined = joined(defaultID: defaultID)
    return (left ?? []) + (joined.isEmpty ? [] : [.addVLANs(joined, to: port.index, name: port.name)])
  }
}
