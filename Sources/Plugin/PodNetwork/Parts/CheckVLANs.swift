internal import CNI
internal import Netlink

/// CHECK for VLANs.
extension VLANs {
  /// Checks that the port is in the configuration's VLANs and, unless it keeps the bridge's default, in no other: a port
  /// in one VLAN more is no longer isolated.
  func check(_ port: Link, of bridge: Link, _ host: inout RouteSocket) throws(PodNetworkError) {
    guard let filter = bridge.vlanFilter, filter.isOn else {
      throw fault("the bridge \"\(bridge.name)\" filters VLANs no longer")
    }
    let wanted = joined(defaultID: filter.defaultID)
    guard !wanted.isEmpty else { return }
    let present = try fromNetlink(host.bridgeMembers()).first { $0.linkIndex == port.index }?.vlans ?? []
    let isRight =
      keepsDefault
      ? wanted.allSatisfy { wanted in present.contains { $0.contains(wanted) } } : present == wanted
    guard isRight else {
      throw fault("\(port.name) is in the VLANs \(VLANs.text(present)), not in \(VLANs.text(wanted))")
    }
  }

  /// The node's port in the VLAN, checked; `nil` without `vlan`.
  func checkedGatewayPort(of bridge: Link, _ host: inout RouteSocket) throws(PodNetworkError) -> Link? {
    guard let vlan = id.map({ VLANs(only: $0) }) else { return nil }
    let name = try vlan.gatewayLinkName(bridge: bridge.name)
    guard let link = try fromNetlink(host.link(named: name)), link.kind == "veth", let peerIndex = link.peerIndex,
      let port = try fromNetlink(host.link(index: peerIndex)), port.masterIndex == bridge.index
    else { throw fault("the gateway's link \"\(name)\" is gone, or is no longer connected to the bridge") }
    guard link.isUp, port.isUp else { throw fault("the gateway's link \"\(name)\" is down") }
    try vlan.check(port, of: bridge, &host)
    return link
  }

  private static func text(_ vlans: [PortVLANs]) -> String {
    guard !vlans.isEmpty else { return "none" }
    return vlans.map { vlan in
      let ids = vlan.ids
      return (ids.count == 1 ? "\(ids.lowerBound)" : "\(ids.lowerBound)-\(ids.upperBound)")
        + (vlan.isNative ? " native" : "") + (vlan.isUntagged ? " untagged" : "")
    }.joined(separator: ", ")
  }
}

extension PortVLANs {
  fileprivate func contains(_ other: PortVLANs) -> Bool {
    isNative == other.isNative && isUntagged == other.isUntagged
      && ids.lowerBound <= other.ids.lowerBound && other.ids.upperBound <= ids.upperBound
  }
}
