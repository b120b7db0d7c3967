internal import CLinux
internal import Glibc

/// How a bridge treats VLANs (IFLA_BR_VLAN_*).
package struct VLANFilter: Sendable, Equatable {
  /// Frames pass only between ports of their VLAN; a bridge that does not filter forwards all, whatever their tags.
  package let isOn: Bool
  /// The VLAN that the kernel puts each new port into, untagged; 0 for none.
  package let defaultID: UInt16

  /// `nil` where the kernel was built without CONFIG_BRIDGE_VLAN_FILTERING: it says "off", but has no default VLAN.
  init?(_ attributes: Attributes) {
    guard let defaultID: UInt16 = attributes.value(LinkAttribute.bridgeDefaultVLAN) else { return nil }
    isOn = attributes.value(LinkAttribute.bridgeFiltersVLANs, as: UInt8.self) == 1
    self.defaultID = defaultID
  }
}

/// VLANs that a port of a bridge is in (`struct bridge_vlan_info`), with IDs from 1 to 4094.
package struct PortVLANs: Sendable, Equatable {
  package let ids: ClosedRange<UInt16>
  /// Their frames leave the bridge without a tag.
  package let isUntagged: Bool
  /// What comes in without a tag belongs there; a port has one such VLAN, so this is never true of several.
  package let isNative: Bool

  package init(_ ids: ClosedRange<UInt16>, isUntagged: Bool = false, isNative: Bool = false) {
    self.ids = ids
    self.isUntagged = isUntagged
    self.isNative = isNative
  }

  /// The one VLAN of what has no tag, in either direction.
  package static func native(_ id: UInt16) -> PortVLANs { PortVLANs(id...id, isUntagged: true, isNative: true) }
}

/// A port of a bridge, or the bridge itself as the node's own port, with its VLANs.
package struct BridgeMember: Sendable, Equatable {
  package let linkIndex: Int32
  package let bridgeIndex: Int32
  /// In order of their IDs; neighbours with the same flags are one.
  package let vlans: [PortVLANs]

  /// Where what has no tag belongs, in both directions; `nil` where it belongs nowhere.
  package var untaggedID: UInt16? { vlans.first { $0.isNative && $0.isUntagged }?.ids.lowerBound }

  init(_ reply: NetlinkReply) throws(NetlinkError) {
    let (header, attributes) = try reply.body(ifinfomsg.self)
    linkIndex = header.ifi_index
    bridgeIndex = attributes.value(LinkAttribute.master) ?? header.ifi_index
    var vlans: [PortVLANs] = []
    var rangeStart: UInt16?
    let entries = try attributes.nest(LinkAttribute.familySpecific)?.list(BridgeVLANInfo.attribute) ?? []
    for entry in entries.compactMap({ $0.prefixValue(bridge_vlan_info.self) }) {
      if entry.flags & BridgeVLANInfo.rangeBegin != 0 {
        rangeStart = entry.vid
        continue
      }
      vlans.append(
        PortVLANs(
          min(rangeStart ?? entry.vid, entry.vid)...entry.vid,
          isUntagged: entry.flags & BridgeVLANInfo.untagged != 0, isNative: entry.flags & BridgeVLANInfo.native != 0))
      rangeStart = nil
    }
    self.vlans = vlans
  }
}

extension NetlinkRequest {
  /// Switches a bridge's VLAN filter on or off. EOPNOTSUPP where the kernel has none.
  package static func filterVLANs(_ isOn: Bool, of bridgeIndex: Int32, name: String) -> NetlinkRequest {
    var request = NetlinkRequest("set the VLAN filter of", name, type: RouteMessage.newLink)
    var header = ifinfomsg()
    header.ifi_index = bridgeIndex
    request.append(header)
    request.nest(LinkAttribute.info) { info in
      info.put(LinkAttribute.infoKind, cString: "bridge")
      info.nest(LinkAttribute.infoData) { $0.put(LinkAttribute.bridgeFiltersVLANs, UInt8(isOn ? 1 : 0)) }
    }
    return request
  }

  /// Puts a port of a bridge into VLANs; where it is in one of them already, the flags become these.
  package static func addVLANs(_ vlans: [PortVLANs], to portIndex: Int32, name: String) -> NetlinkRequest {
    portVLANs("set the VLANs of the port", vlans, portIndex, name, type: RouteMessage.setLink)
  }

  /// Takes a port of a bridge out of a VLAN. No error where it is not in it.
  package static func removeVLAN(_ id: UInt16, from portIndex: Int32, name: String) -> NetlinkRequest {
    portVLANs("take VLAN \(id) off the port", [PortVLANs(id...id)], portIndex, name, type: RouteMessage.deleteLink)
  }

  private static func portVLANs(
    _ operation: String, _ vlans: [PortVLANs], _ portIndex: Int32, _ name: String, type: UInt16
  ) -> NetlinkRequest {
    var request = NetlinkRequest(operation, name, type: type)
    var header = ifinfomsg()
    header.ifi_family = UInt8(AF_BRIDGE)
    header.ifi_index = portIndex
    request.append(header)
    request.nest(LinkAttribute.familySpecific) { list in
      for vlan in vlans { list.put(vlan) }
    }
    return request
  }

  /// A single VLAN is one entry, a range two: its begin and its end.
  private mutating func put(_ vlan: PortVLANs) {
    let flags =
      (vlan.isUntagged ? BridgeVLANInfo.untagged : 0) | (vlan.isNative ? BridgeVLANInfo.native : 0)
    let (first, last) = (vlan.ids.lowerBound, vlan.ids.upperBound)
    guard first < last else {
      return put(BridgeVLANInfo.attribute, bridge_vlan_info(flags: flags, vid: first))
    }
    put(BridgeVLANInfo.attribute, bridge_vlan_info(flags: flags | BridgeVLANInfo.rangeBegin, vid: first))
    put(BridgeVLANInfo.attribute, bridge_vlan_info(flags: flags | BridgeVLANInfo.rangeEnd, vid: last))
  }
}

extension RouteSocket {
  /// The members of all bridges of the namespace: the kernel cannot be asked for one of them alone.
  package mutating func bridgeMembers() throws(NetlinkError) -> [BridgeMember] {
    var request = NetlinkRequest("list", "the VLANs of bridges' ports", type: RouteMessage.getLink)
    var header = ifinfomsg()
    header.ifi_family = UInt8(AF_BRIDGE)
    request.append(header)
    request.put(LinkAttribute.extensionMask, BridgeVLANInfo.compressedFilter)
    var members: [BridgeMember] = []
    for reply in try netlink.dump(request) { members.append(try BridgeMember(reply)) }
    return members
  }
}
