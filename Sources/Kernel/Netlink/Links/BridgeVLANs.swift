internal import CLinux
internal import Glibc

/// The VLAN settings of a bridge (IFLA_BR_VLAN_*).
package struct VLANFilter: Sendable, Equatable {
  /// Whether frames pass only between ports of their VLAN; otherwise the bridge forwards frames whatever their tags.
  package let isOn: Bool
  /// The VLAN that the kernel adds each new port to, untagged; 0 for none.
  package let defaultID: UInt16

  /// `nil` if the kernel was built without CONFIG_BRIDGE_VLAN_FILTERING: it reports "off", but no default VLAN.
  init?(_ attributes: Attributes) {
    guard let defaultID: UInt16 = attributes.value(LinkAttribute.bridgeDefaultVLAN) else { return nil }
    isOn = attributes.value(LinkAttribute.bridgeFiltersVLANs, as: UInt8.self) == 1
    self.defaultID = defaultID
  }
}

/// A range of VLANs that a bridge port belongs to (`struct bridge_vlan_info`).
package struct PortVLANs: Sendable, Equatable {
  /// The VLAN IDs, from 1 to 4094.
  package let ids: ClosedRange<UInt16>
  /// Whether frames of these VLANs leave the bridge by this port without a tag.
  package let isUntagged: Bool
  /// Whether untagged frames that enter by this port belong to this VLAN (PVID). A port has at most one, so a range of
  /// several VLANs is never native.
  package let isNative: Bool

  /// A range of VLANs with its flags.
  package init(_ ids: ClosedRange<UInt16>, isUntagged: Bool = false, isNative: Bool = false) {
    self.ids = ids
    self.isUntagged = isUntagged
    self.isNative = isNative
  }

  /// The VLAN of untagged frames, in both directions.
  package static func native(_ id: UInt16) -> PortVLANs { PortVLANs(id...id, isUntagged: true, isNative: true) }
}

/// A bridge port with its VLANs, or the bridge itself as the node's own port.
package struct BridgeMember: Sendable, Equatable {
  /// The port's interface index.
  package let linkIndex: Int32
  /// The bridge's interface index; equal to `linkIndex` for the bridge itself.
  package let bridgeIndex: Int32
  /// The VLANs in order of their IDs; adjacent VLANs with the same flags form one range.
  package let vlans: [PortVLANs]

  /// The VLAN of untagged frames in both directions; `nil` if there is none.
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
  /// Switches a bridge's VLAN filter on or off. EOPNOTSUPP if the kernel has no VLAN filter.
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

  /// Adds a bridge port to VLANs; the flags of VLANs that it is in already are replaced.
  package static func addVLANs(_ vlans: [PortVLANs], to portIndex: Int32, name: String) -> NetlinkRequest {
    portVLANs("set the VLANs of the port", vlans, portIndex: portIndex, name: name, type: RouteMessage.setLink)
  }

  /// Removes a bridge port from a VLAN; absence is success.
  package static func removeVLAN(_ id: UInt16, from portIndex: Int32, name: String) -> NetlinkRequest {
    portVLANs(
      "remove VLAN \(id) from the port", [PortVLANs(id...id)], portIndex: portIndex, name: name,
      type: RouteMessage.deleteLink)
  }

  private static func portVLANs(
    _ operation: String, _ vlans: [PortVLANs], portIndex: Int32, name: String, type: UInt16
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

  /// Adds a range of VLANs: one entry for a single VLAN, two entries (begin and end) for a longer range.
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
  /// The ports of all bridges of the namespace with their VLANs; the kernel cannot list one bridge's ports alone.
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
