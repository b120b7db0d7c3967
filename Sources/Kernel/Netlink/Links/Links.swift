package import Addresses
internal import CLinux
internal import Glibc
package import Linux

/// A network interface as the kernel tells it (`struct ifinfomsg` and IFLA_* attributes).
package struct Link: Sendable, Equatable {
  /// `ifindex`, unique in its namespace.
  package let index: Int32
  package let name: String
  /// `nil` where the link has none of six bytes (a tunnel).
  package let mac: MACAddress?
  package let mtuBytes: Int
  /// IFF_* bits.
  package let flags: UInt32
  /// ARPHRD_*: 1 is Ethernet.
  package let hardwareType: UInt16
  /// "bridge", "veth", …; `nil` for hardware and the loopback.
  package let kind: String?
  /// The bridge (or bond, …) that this link is a port of.
  package let masterIndex: Int32?
  /// The other end of a veth pair, by its index in its own namespace.
  package let peerIndex: Int32?
  /// IF_OPER_*: 6 is up.
  package let operationalState: UInt8
  /// The text of `ip link set … alias`.
  package let alias: String?
  /// How many listeners hold the link in promiscuous mode.
  package let promiscuity: Int
  /// What the link is as a port of a bridge.
  package let port: BridgePort?
  /// How a bridge treats VLANs; `nil` where the link is no bridge, or the kernel's bridges cannot filter.
  package let vlanFilter: VLANFilter?
  /// Kind and settings of a tunnel device.
  package let tunnel: TunnelKind?
  /// `net.ipv4.conf.LINK.rp_filter` of a tunnel device.
  package let reversePathFilter: UInt32?

  /// Administratively up (IFF_UP).
  package var isUp: Bool { flags & UInt32(IFF_UP.rawValue) != 0 }
  /// Carrier found, frames pass (IF_OPER_UP; IF_OPER_UNKNOWN for links that cannot tell).
  package var isOperational: Bool { isUp && (operationalState == 6 || operationalState == 0) }
  /// Something is at the other end (IFF_LOWER_UP): without it the kernel drops and refuses next-hop objects, but not
  /// routes with a gateway of their own (net/ipv4/nexthop.c, `nh_netdev_event`).
  package var hasCarrier: Bool { flags & UInt32(IFF_LOWER_UP.rawValue) != 0 }
  /// Set to take every frame by whoever administers it (IFF_PROMISC); listeners only count in `promiscuity`.
  package var isPromiscuous: Bool { flags & UInt32(IFF_PROMISC.rawValue) != 0 }
  package var isLoopback: Bool { flags & UInt32(IFF_LOOPBACK.rawValue) != 0 }
  /// Every neighbour is reached by resolving its address: a broadcast link that is no point-to-point link and
  /// does resolve (no IFF_NOARP).
  package var resolvesNeighbours: Bool {
    flags & UInt32(IFF_BROADCAST.rawValue) != 0 && flags & UInt32(IFF_POINTOPOINT.rawValue) == 0
      && flags & UInt32(IFF_NOARP.rawValue) == 0
  }

  /// A link as it might be, for what reasons about links without a kernel.
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
    // The kernel tells its settings as an array, whose first is number 1 (net/ipv4/devinet.c, `inet_fill_link_af`).
    let settings =
      tunnel == nil
      ? nil
      : try attributes.nest(LinkAttribute.familySpecific)?.nest(LinkAttribute.familyIPv4)?[LinkAttribute.settingsIPv4]
    reversePathFilter = settings?.dropFirst(4 * (Int(IPV4_DEVCONF_RP_FILTER) - 1)).prefixValue(UInt32.self)
  }
}

/// A link's side that faces its bridge (IFLA_BRPORT_*).
package struct BridgePort: Sendable, Equatable {
  /// Frames may leave by the port they came in on.
  package let hairpin: Bool
  /// Isolated ports reach only ports that are not.
  package let isolated: Bool
  /// BR_STATE_*: 3 is forwarding.
  package let state: UInt8

  /// Listening or learning (IEEE 802.1D): it will forward in time.
  package var isWaitingForSpanningTree: Bool { state == 1 || state == 2 }

  init(_ attributes: Attributes) {
    hairpin = attributes.value(LinkAttribute.portHairpin, as: UInt8.self) == 1
    isolated = attributes.value(LinkAttribute.portIsolated, as: UInt8.self) == 1
    state = attributes.value(LinkAttribute.portState) ?? 0
  }
}

/// One end of a veth pair that is to be made.
package struct VethEnd: Sendable {
  package var name: String
  package var mac: MACAddress
  /// `nil` leaves the kernel's 1,500.
  package var mtuBytes: Int?
  /// The bridge that it becomes a port of.
  package var masterIndex: Int32?
  package var isUp: Bool

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

/// What is to change on a link; what is `nil` stays.
package struct LinkChange: Sendable {
  package var isUp: Bool?
  package var isPromiscuous: Bool?
  package var mac: MACAddress?
  package var mtuBytes: Int?
  package var alias: String?
  /// The bridge that it becomes a port of.
  package var masterIndex: Int32?
  /// Only for a port of a bridge.
  package var hairpin: Bool?
  /// Only for a port of a bridge.
  package var isolated: Bool?
  /// The kernel tells the neighbours of each new pair of IPv4 address and MAC (`net.ipv4.conf.LINK.arp_notify`).
  package var announcesIPv4: Bool?
  /// Which source addresses the kernel takes from the link (`net.ipv4.conf.LINK.rp_filter`): 0 all, 1 those that it
  /// would answer by this link, 2 those that it would answer by any.
  package var reversePathFilter: UInt32?

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
  /// Makes a bridge and sets it up. EEXIST where the name is taken.
  ///
  /// A MAC given at creation counts as set by hand: the bridge keeps it whatever ports come and go
  /// (net/bridge/br_stp_if.c, `br_stp_recalculate_bridge_id`).
  package static func addBridge(name: String, mac: MACAddress) -> NetlinkRequest {
    var request = link("make the bridge", name, flags: NetlinkFlag.create | NetlinkFlag.exclusive, isUp: true)
    request.put(LinkAttribute.name, cString: name)
    request.put(LinkAttribute.address, bytes: mac.bytes)
    request.nest(LinkAttribute.info) { $0.put(LinkAttribute.infoKind, cString: "bridge") }
    return request
  }

  /// Makes both ends of a veth pair where they belong: `host` here, `pod` in the namespace of `descriptor`.
  ///
  /// EEXIST where one of the names is taken. What the kernel ignores here (alias, hairpin, isolation) is a
  /// `changeLink`'s. The request names the descriptor: the namespace must stay open until it was performed.
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

  /// Changes an existing link, found by its index where one is given (the name is then for messages only).
  package static func changeLink(_ index: Int32? = nil, name: String, _ change: LinkChange) -> NetlinkRequest {
    // RTM_SETLINK ignores IFLA_LINKINFO; RTM_NEWLINK without NLM_F_CREATE takes it and everything else
    // (net/core/rtnetlink.c, `rtnl_changelink`).
    var request = NetlinkRequest("set up the link", name, type: RouteMessage.newLink)
    request.append(linkHeader(index: index ?? 0, isUp: change.isUp, isPromiscuous: change.isPromiscuous))
    if index == nil { request.put(LinkAttribute.name, cString: name) }
    if let mac = change.mac { request.put(LinkAttribute.address, bytes: mac.bytes) }
    if let mtuBytes = change.mtuBytes { request.put(LinkAttribute.mtu, UInt32(clamping: mtuBytes)) }
    // The kernel wants an alias without its NUL (IFALIASZ 256).
    if let alias = change.alias { request.put(LinkAttribute.alias, bytes: alias.utf8.prefix(255)) }
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
      // As the sysctls have it, without three system calls in /proc for each.
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

  /// Removes a link; of a veth pair both ends go. ENODEV where it is gone already.
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
  /// The link of that name, `nil` where there is none.
  package mutating func link(named name: String) throws(NetlinkError) -> Link? {
    var request = NetlinkRequest("look for the link", name, type: RouteMessage.getLink)
    request.append(ifinfomsg())
    request.put(LinkAttribute.name, cString: name)
    request.skipStatistics()
    return try link(request)
  }

  /// The link of that index, `nil` where there is none.
  package mutating func link(index: Int32) throws(NetlinkError) -> Link? {
    var request = NetlinkRequest("look for the link of index", String(index), type: RouteMessage.getLink)
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
  /// Spares the kernel the counters of a link, which it would add up over all processors.
  fileprivate mutating func skipStatistics() {
    put(LinkAttribute.extensionMask, UInt32(RTEXT_FILTER_SKIP_STATS))
  }
}
