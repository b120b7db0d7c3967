package import Addresses
internal import CLinux

/// What makes a VXLAN device the one that it is (IFLA_VXLAN_* attributes).
package struct VXLANSettings: Sendable, Equatable {
  /// The VXLAN network identifier, of 24 bits.
  package var vni: UInt32
  /// The UDP port of all devices of the network.
  package var port: UInt16
  /// The address that packets leave by; `nil` where the kernel chooses.
  package var local: IPAddress?
  /// Where unknown and multicast frames go; `nil` where they are dropped.
  package var group: IPAddress?
  /// The link that packets are confined to.
  package var linkIndex: Int32?
  /// Whether the device learns from packets where stations are.
  package var learns: Bool
  /// Whether packets carry their group policy.
  package var carriesGroupPolicy: Bool

  package init(
    vni: UInt32, port: UInt16, local: IPAddress?, group: IPAddress? = nil, linkIndex: Int32? = nil, learns: Bool,
    carriesGroupPolicy: Bool
  ) {
    self.vni = vni
    self.port = port
    self.local = local
    self.group = group
    self.linkIndex = linkIndex
    self.learns = learns
    self.carriesGroupPolicy = carriesGroupPolicy
  }

  /// `nil` where the attributes tell of no VNI.
  init?(_ attributes: Attributes) {
    guard let vni = attributes.value(VXLANAttribute.id, as: UInt32.self) else { return nil }
    self.vni = vni
    port = UInt16(bigEndian: attributes.value(VXLANAttribute.port) ?? 0)
    local = attributes.address(VXLANAttribute.local) ?? attributes.address(VXLANAttribute.local6)
    group = attributes.address(VXLANAttribute.group) ?? attributes.address(VXLANAttribute.group6)
    linkIndex = attributes.value(VXLANAttribute.link)
    learns = attributes.value(VXLANAttribute.learning, as: UInt8.self) != 0
    carriesGroupPolicy = attributes[VXLANAttribute.groupPolicy] != nil
  }

  fileprivate func put(in request: inout NetlinkRequest) {
    request.put(VXLANAttribute.id, vni)
    request.put(VXLANAttribute.port, bigEndian: port)
    if let local { request.put(local.family == .v4 ? VXLANAttribute.local : VXLANAttribute.local6, bytes: local.bytes) }
    if let group { request.put(group.family == .v4 ? VXLANAttribute.group : VXLANAttribute.group6, bytes: group.bytes) }
    if let linkIndex { request.put(VXLANAttribute.link, linkIndex) }
    request.put(VXLANAttribute.learning, UInt8(learns ? 1 : 0))
    // What is inside has checksums of its own; over IPv6 the kernel insists on one (RFC 6935).
    request.put(VXLANAttribute.checksum, UInt8(0))
    // A flag: that it is there is all that it says.
    if carriesGroupPolicy { request.put(VXLANAttribute.groupPolicy, bytes: []) }
  }
}

extension NetlinkRequest {
  /// Makes a VXLAN device and sets it up. EEXIST where the name is taken, or another device has the same network and port;
  /// EOPNOTSUPP where the kernel knows no VXLAN. An alias is a `changeLink`'s.
  package static func addVXLAN(
    name: String, mac: MACAddress, mtuBytes: Int, _ settings: VXLANSettings
  ) -> NetlinkRequest {
    var request = link("make the VXLAN device", name, flags: NetlinkFlag.create | NetlinkFlag.exclusive, isUp: true)
    request.put(LinkAttribute.name, cString: name)
    request.put(LinkAttribute.address, bytes: mac.bytes)
    request.put(LinkAttribute.mtu, UInt32(clamping: mtuBytes))
    request.nest(LinkAttribute.info) { info in
      info.put(LinkAttribute.infoKind, cString: "vxlan")
      info.nest(LinkAttribute.infoData) { settings.put(in: &$0) }
    }
    return request
  }
}
