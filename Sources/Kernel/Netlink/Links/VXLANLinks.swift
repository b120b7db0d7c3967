package import Addresses
internal import CLinux

/// Settings of a VXLAN device that cannot change while it exists (IFLA_VXLAN_* attributes).
package struct VXLANSettings: Sendable, Equatable {
  /// The VXLAN network identifier, of 24 bits.
  package var vni: UInt32
  /// The UDP port of all devices of the network.
  package var port: UInt16
  /// Source address of outer packets; `nil` if the kernel chooses.
  package var local: IPAddress?
  /// Destination of unknown and multicast frames; `nil` if they are dropped.
  package var group: IPAddress?
  /// Index of the only link that outer packets may use.
  package var linkIndex: Int32?
  /// Whether the device learns forwarding entries from the packets that it receives.
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

  /// Reads the attributes; `nil` if they hold no VNI.
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
  /// Makes a VXLAN device and sets it up. EEXIST if the name is taken, or if another device has the same network and
  /// port; EOPNOTSUPP if the kernel has no VXLAN. The alias is set by `changeLink`.
  ///
  /// - Parameter mac: the kernel chooses one if it is `nil`.
  package static func addVXLAN(
    name: String, mac: MACAddress?, mtuBytes: Int, _ settings: VXLANSettings
  ) -> NetlinkRequest {
    var request = link("make the VXLAN device", name, flags: NetlinkFlag.create | NetlinkFlag.exclusive, isUp: true)
    request.put(LinkAttribute.name, cString: name)
    if let mac { request.put(LinkAttribute.address, bytes: mac.bytes) }
    request.put(LinkAttribute.mtu, UInt32(clamping: mtuBytes))
    request.nest(LinkAttribute.info) { info in
      info.put(LinkAttribute.infoKind, cString: "vxlan")
      info.nest(LinkAttribute.infoData) { settings.put(in: &$0) }
    }
    return request
  }
}

/// Attributes of VXLAN devices (linux/if_link.h).
private enum VXLANAttribute {
  static let id = UInt16(IFLA_VXLAN_ID)
  static let group = UInt16(IFLA_VXLAN_GROUP)
  static let group6 = UInt16(IFLA_VXLAN_GROUP6)
  static let link = UInt16(IFLA_VXLAN_LINK)
  static let local = UInt16(IFLA_VXLAN_LOCAL)
  static let local6 = UInt16(IFLA_VXLAN_LOCAL6)
  static let learning = UInt16(IFLA_VXLAN_LEARNING)
  static let port = UInt16(IFLA_VXLAN_PORT)
  static let checksum = UInt16(IFLA_VXLAN_UDP_CSUM)
  static let groupPolicy = UInt16(IFLA_VXLAN_GBP)
}
