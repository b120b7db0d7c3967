package import Addresses
internal import CLinux
internal import Glibc
package import Linux

/// A network interface as the kernel reports it (`struct ifinfomsg` and IFLA_* attributes).
package struct Link: Sendable, Equatable {
  /// The hardware type of Ethernet links (ARPHRD_ETHER).
  package static let ethernetType = UInt16(ARPHRD_ETHER)
  /// The operational state of links that pass frames (IF_OPER_UP).
  package static let operationalUp = UInt8(IF_OPER_UP)

  /// The interface index (`ifindex`), unique in its namespace.
  package let index: Int32
  /// The interface name, at most 15 bytes.
  package let name: String
  /// The hardware address; `nil` if it is not six bytes long (a tunnel).
  package let mac: MACAddress?
  /// The MTU in bytes.
  package let mtuBytes: Int
  /// The interface flags, IFF_* bits.
  package let flags: UInt32
  /// The hardware type, an ARPHRD_* number such as `ethernetType`.
  package let hardwareType: UInt16
  /// The kind of virtual link: "bridge", "veth", …; `nil` for hardware and the loopback.
  package let kind: String?
  /// The index of the bridge or bond that this link is a port of.
  package let masterIndex: Int32?
  /// The index of a veth's other end, in that end's own namespace.
  package let peerIndex: Int32?
  /// The operational state, an IF_OPER_* number such as `operationalUp` (RFC 2863).
  package let operationalState: UInt8
  /// The alias, as set by `ip link set … alias`.
  package let alias: String?
  /// Number of users (such as packet captures) that keep the link in promiscuous mode.
  package let promiscuity: Int
  /// The link's settings as a bridge port; `nil` if it is none.
  package let port: BridgePort?
  /// The VLAN settings of a bridge; `nil` if the link is no bridge, or the kernel has no VLAN filter.
  package let vlanFilter: VLANFilter?
  /// Kind and settings of a tunnel device.
  package let tunnel: TunnelKind?
  /// `net.ipv4.conf.LINK.rp_filter` of a tunnel device.
  package let reversePathFilter: UInt32?

  /// Whether the link is administratively up (IFF_UP).
  package var isUp: Bool { flags & UInt32(IFF_UP.rawValue) != 0 }
  /// Whether frames pass: IF_OPER_UP, or IF_OPER_UNKNOWN for drivers that do not report a state.
  package var isOperational: Bool {
    isUp && (operationalState == Link.operationalUp || operationalState == UInt8(IF_OPER_UNKNOWN))
  }
  /// Whether the link has a carrier (IFF_LOWER_UP). Without one the kernel removes and refuses next-hop objects, but
  /// not routes with a gateway of their own (net/ipv4/nexthop.c, `nh_netdev_event`).
  package var hasCarrier: Bool { flags & UInt32(IFF_LOWER_UP.rawValue) != 0 }
  /// Whether an administrator set promiscuous mode (IFF_PROMISC); packet captures count in `promiscuity` only.
  package var isPromiscuous: Bool { flags & UInt32(IFF_PROMISC.rawValue) != 0 }
  /// Whether the link is the loopback (IFF_LOOPBACK).
  package var isLoopback: Bool { flags & UInt32(IFF_LOOPBACK.rawValue) != 0 }
  /// Whether neighbours are reached by resolving their addresses: a broadcast link that is not point-to-point and
  /// resolves (no IFF_NOARP).
  package var resolvesNeighbours: Bool {
    flags & UInt32(IFF_BROADCAST.rawValue) != 0 && flags & UInt32(IFF_POINTOPOINT.rawValue) == 0
      && flags & UInt32(IFF_NOARP.rawValue) == 0
  }

  /// A link from given values, for code that plans with links without a kernel.
  package init(
    index: Int32, name: String, mac: MACAddress? = nil, mtuBytes: Int, flags: UInt32, hardwareType: UInt16 = 1,
    kind: String? = nil, operationalState: UInt8 = 6, alias: String? = nil, tunnel: TunnelKind? = nil,
    reversePathFilter: UInt32? = nil
  ) {
    self.index = index
    self.name = name
    self.mac = mac
    self.mtuBytes = mtuBytes
    self.flags = flags
    self.hardwareType = hardwareType
    self.kind = kind
    self.operationalState = operationalState
    masterIndex = nil
    peerIndex = nil
    self.alias = alias
    promiscuity = 0
    port = nil
    vlanFilter = nil
    self.tunnel = tunnel
    self.reversePathFilter = reversePathFilter
  }

  init(_ reply: NetlinkReply) throws(NetlinkError) {
    let (header, attributes) = try reply.body(ifinfomsg.self)
    let info = try attributes.nest(LinkAttribute.info)
    index = header.ifi_index
    name = attributes.string(LinkAttribute.name) ?? ""
    mac = attributes[LinkAttribute.address].flatMap { MACAddress(bytes: $0) }
    mtuBytes = Int(attributes.value(LinkAttribute.mtu, as: UInt32.self) ?? 0)
    flags = header.ifi_flags
    hardwareType = header.ifi_type
    kind = info?.string(LinkAttribute.infoKind)
    masterIndex = attributes.value(LinkAttribute.master)
    peerIndex = attributes.value(LinkAttribute.link)
    operationalState = attributes.value(LinkAttribute.operState) ?? 0
    alias = attributes.string(LinkAttribute.alias)
    promiscuity = Int(attributes.value(LinkAttribute.promiscuity, as: UInt32.self) ?? 0)
    port =
      info?.string(LinkAttribute.infoSlaveKind) == "bridge"
      ? try info?.nest(LinkAttribute.infoSlaveData).map(BridgePort.init) : nil
    vlanFilter = kind == "bridge" ? try info?.nest(LinkAttribute.infoData).flatMap(VLANFilter.init) : nil
    tunnel = try TunnelKind(kind, info)
    // The kernel reports its settings as an array, whose first is number 1 (net/ipv4/devinet.c, `inet_fill_link_af`).
    let settings =
      tunnel == nil
      ? nil
      : try attributes.nest(LinkAttribute.familySpecific)?.nest(LinkAttribute.familyIPv4)?[LinkAttribute.settingsIPv4]
    reversePathFilter = settings?.dropFirst(4 * (Int(IPV4_DEVCONF_RP_FILTER) - 1)).prefixValue(UInt32.self)
  }
}

/// The settings of a link as a bridge port (IFLA_BRPORT_*).
package struct BridgePort: Sendable, Equatable {
  /// Whether frames may leave by the port that they came in on.
  package let hairpin: Bool
  /// Whether the port is isolated: isolated ports reach only ports that are not isolated.
  package let isolated: Bool
  /// The spanning tree state, a BR_STATE_* number (linux/if_bridge.h).
  package let state: UInt8

  /// Whether the port is listening or learning (IEEE 802.1D), before it begins to forward.
  package var isWaitingForSpanningTree: Bool {
    state == UInt8(BR_STATE_LISTENING) || state == UInt8(BR_STATE_LEARNING)
  }

  init(_ attributes: Attributes) {
    hairpin = attributes.value(LinkAttribute.portHairpin, as: UInt8.self) == 1
    isolated = attributes.value(LinkAttribute.portIsolated, as: UInt8.self) == 1
    state = attributes.value(LinkAttribute.portState) ?? 0
  }
}

/// The settings of one end of a veth pair to create.
package struct VethEnd: Sendable {
  /// The interface name.
  package var name: String
  /// The hardware address.
  package var mac: MACAddress
  /// The MTU in bytes; `nil` for the kernel's default of 1,500.
  package var mtuBytes: Int?
  /// The index of the bridge that this end becomes a port of.
  package var masterIndex: Int32?
  /// Whether this end is set up at once.
  package var isUp: Bool

  /// The settings of one end.
  package init(
    name: String, mac: MACAddress, mtuBytes: Int? = nil, masterIndex: Int32? = nil, isUp: Bool = false
  ) {
    self.name = name
    self.mac = mac
    self.mtuBytes = mtuBytes
    self.masterIndex = masterIndex
    self.isUp = isUp
  }

  fileprivate func put(in request: inout NetlinkRequest) {
    request.put(LinkAttribute.name, cString: name)
    request.put(LinkAttribute.address, bytes: mac.bytes)
    if let mtuBytes { request.put(LinkAttribute.mtu, UInt32(clamping: mtuBytes)) }
    if let masterIndex { request.put(LinkAttribute.master, masterIndex) }
  }
}

/// A change of a link's settings; settings that are `nil` are kept.
package struct LinkChange: Sendable {
  /// Whether the link is administratively up.
  package var isUp: Bool?
  /// Whether the link is in promiscuous mode.
  package var isPromiscuous: Bool?
  /// The hardware address.
  package var mac: MACAddress?
  /// The MTU in bytes.
  package var mtuBytes: Int?
  /// The alias, cut after 255 bytes.
  package var alias: String?
  /// The index of the bridge that the link becomes a port of.
  package var masterIndex: Int32?
  /// Whether frames may leave by the port that they came in on; only for a bridge port.
  package var hairpin: Bool?
  /// Whether the port is isolated from other isolated ports; only for a bridge port.
  package var isolated: Bool?
  /// Whether the kernel sends gratuitous ARP for new IPv4 addresses (`net.ipv4.conf.LINK.arp_notify`).
  package var announcesIPv4: Bool?
  /// Which source addresses the kernel accepts from the link (`net.ipv4.conf.LINK.rp_filter`): 0 all, 1 those that it
  /// routes back by this link, 2 those that it routes back by any link.
  package var reversePathFilter: UInt32?

  /// A change of the given settings.
  package init(
    isUp: Bool? = nil, isPromiscuous: Bool? = nil, mac: MACAddress? = nil, mtuBytes: Int? = nil,
    alias: String? = nil, masterIndex: Int32? = nil, hairpin: Bool? = nil, isolated: Bool? = nil,
    announcesIPv4: Bool? = nil, reversePathFilter: UInt32? = nil
  ) {
    self.isUp = isUp
    self.isPromiscuous = isPromiscuous
    self.mac = mac
    self.mtuBytes = mtuBytes
    self.alias = alias
    self.masterIndex = masterIndex
    self.hairpin = hairpin
    self.isolated = isolated
    self.announcesIPv4 = announcesIPv4
    self.reversePathFilter = reversePathFilter
  }
}

extension NetlinkRequest {
  /// Creates a bridge and sets it up. EEXIST if the name is taken.
  ///
  /// A MAC given at creation counts as set by an administrator: the bridge keeps it when ports are added or removed
  /// (net/bridge/br_stp_if.c, `br_stp_recalculate_bridge_id`).
  package static func addBridge(name: String, mac: MACAddress) -> NetlinkRequest {
    var request = link("make the bridge", name, flags: NetlinkFlag.create | NetlinkFlag.exclusive, isUp: true)
    request.put(LinkAttribute.name, cString: name)
    request.put(LinkAttribute.address, bytes: mac.bytes)
    request.nest(LinkAttribute.info) { $0.put(LinkAttribute.infoKind, cString: "bridge") }
    return request
  }

  /// Creates both ends of a veth pair by one message: `host` in the socket's namespace, `pod` in `namespace`.
  ///
  /// EEXIST if one of the names is taken. The kernel ignores alias, hairpin and isolation here; `changeLink` sets them.
  /// The request holds the namespace's descriptor number, so `namespace` must stay open until it was performed.
  package static func addVethPair(
    host: VethEnd, pod: VethEnd, in namespace: borrowing NetworkNamespace
  ) -> NetlinkRequest {
    var request = link(
      "make the veth pair", "\(host.name) and \(pod.name)", flags: NetlinkFlag.create | NetlinkFlag.exclusive,
      isUp: host.isUp ? true : nil)
    let descriptor = namespace.descriptor.number
    host.put(in: &request)
    request.nest(LinkAttribute.info) { info in
      info.put(LinkAttribute.infoKind, cString: "veth")
      info.nest(LinkAttribute.infoData) { data in
        data.nest(LinkAttribute.vethPeer) { peer in
          peer.append(NetlinkRequest.linkHeader(index: 0, isUp: pod.isUp ? true : nil))
          pod.put(in: &peer)
          peer.put(LinkAttribute.namespaceDescriptor, descriptor)
        }
      }
    }
    return request
  }

  /// Changes an existing link, found by its index if given (the name is then for messages only), else by its name.
  package static func changeLink(_ index: Int32? = nil, name: String, _ change: LinkChange) -> NetlinkRequest {
    // RTM_SETLINK ignores IFLA_LINKINFO; RTM_NEWLINK without NLM_F_CREATE accepts it and all other attributes
    // (net/core/rtnetlink.c, `rtnl_changelink`).
    var request = NetlinkRequest("set up the link", name, type: RouteMessage.newLink)
    request.append(linkHeader(index: index ?? 0, isUp: change.isUp, isPromiscuous: change.isPromiscuous))
    if index == nil { request.put(LinkAttribute.name, cString: name) }
    if let mac = change.mac { request.put(LinkAttribute.address, bytes: mac.bytes) }
    if let mtuBytes = change.mtuBytes { request.put(LinkAttribute.mtu, UInt32(clamping: mtuBytes)) }
    // The kernel expects an alias without its NUL, for which IFALIASZ has room.
    if let alias = change.alias { request.put(LinkAttribute.alias, bytes: alias.utf8.prefix(Int(IFALIASZ) - 1)) }
    if let masterIndex = change.masterIndex { request.put(LinkAttribute.master, masterIndex) }
    if change.hairpin != nil || change.isolated != nil {
      request.nest(LinkAttribute.info) { info in
        info.put(LinkAttribute.infoSlaveKind, cString: "bridge")
        info.nest(LinkAttribute.infoSlaveData) { port in
          if let hairpin = change.hairpin { port.put(LinkAttribute.portHairpin, UInt8(hairpin ? 1 : 0)) }
          if let isolated = change.isolated { port.put(LinkAttribute.portIsolated, UInt8(isolated ? 1 : 0)) }
        }
      }
    }
    if change.announcesIPv4 != nil || change.reversePathFilter != nil {
      // The same as the sysctls, without three system calls under /proc for each.
      request.nest(LinkAttribute.familySpecific) { families in
        families.nest(LinkAttribute.familyIPv4) { family in
          family.nest(LinkAttribute.settingsIPv4) { settings in
            if let announces = change.announcesIPv4 {
              settings.put(UInt16(IPV4_DEVCONF_ARP_NOTIFY), UInt32(announces ? 1 : 0))
            }
            if let filter = change.reversePathFilter { settings.put(UInt16(IPV4_DEVCONF_RP_FILTER), filter) }
          }
        }
      }
    }
    return request
  }

  /// Removes a link; removing one end of a veth pair removes both. ENODEV if there is no such link.
  package static func removeLink(_ index: Int32, name: String) -> NetlinkRequest {
    var request = NetlinkRequest("remove the link", name, type: RouteMessage.deleteLink)
    request.append(linkHeader(index: index))
    return request
  }

  static func link(
    _ operation: String, _ name: String, flags: UInt16, isUp: Bool? = nil
  ) -> NetlinkRequest {
    var request = NetlinkRequest(operation, name, type: RouteMessage.newLink, flags: flags)
    request.append(linkHeader(index: 0, isUp: isUp))
    return request
  }

  private static func linkHeader(index: Int32, isUp: Bool? = nil, isPromiscuous: Bool? = nil) -> ifinfomsg {
    var header = ifinfomsg()
    header.ifi_index = index
    for (value, flag) in [(isUp, IFF_UP), (isPromiscuous, IFF_PROMISC)] {
      guard let value else { continue }
      header.ifi_change |= UInt32(flag.rawValue)
      if value { header.ifi_flags |= UInt32(flag.rawValue) }
    }
    return header
  }
}

extension RouteSocket {
  /// Finds a link by its name; `nil` if there is none.
  package mutating func link(named name: String) throws(NetlinkError) -> Link? {
    var request = NetlinkRequest("look up the link", name, type: RouteMessage.getLink)
    request.append(ifinfomsg())
    request.put(LinkAttribute.name, cString: name)
    request.skipStatistics()
    return try link(request)
  }

  /// Finds a link by its index; `nil` if there is none.
  package mutating func link(index: Int32) throws(NetlinkError) -> Link? {
    var request = NetlinkRequest("look up the link of index", String(index), type: RouteMessage.getLink)
    var header = ifinfomsg()
    header.ifi_index = index
    request.append(header)
    request.skipStatistics()
    return try link(request)
  }

  private mutating func link(_ request: NetlinkRequest) throws(NetlinkError) -> Link? {
    do throws(NetlinkError) {
      return try Link(netlink.get(request))
    } catch {
      if error.errno == ENODEV { return nil }
      throw error
    }
  }

  /// All links of the namespace.
  package mutating func links() throws(NetlinkError) -> [Link] {
    var request = NetlinkRequest("list", "the links", type: RouteMessage.getLink)
    request.append(ifinfomsg())
    request.skipStatistics()
    var links: [Link] = []
    for reply in try netlink.dump(request) { links.append(try Link(reply)) }
    return links
  }
}

extension NetlinkRequest {
  /// Leaves out the link's counters, which the kernel would sum over all processors.
  fileprivate mutating func skipStatistics() {
    put(LinkAttribute.extensionMask, UInt32(RTEXT_FILTER_SKIP_STATS))
  }
}
