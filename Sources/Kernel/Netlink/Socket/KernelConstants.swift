internal import CLinux

// Swift imports the kernel's constants as four different integer types; here each gets its type in messages.

/// Flags of `nlmsghdr` and `nlattr` (linux/netlink.h).
package enum NetlinkFlag {
  static let request = UInt16(NLM_F_REQUEST)
  static let acknowledge = UInt16(NLM_F_ACK)
  static let dump = UInt16(NLM_F_ROOT) | UInt16(NLM_F_MATCH)
  static let dumpInterrupted = UInt16(NLM_F_DUMP_INTR)
  /// Creates the object if it does not exist.
  package static let create = UInt16(NLM_F_CREATE)
  /// Fails with EEXIST if the object exists.
  package static let exclusive = UInt16(NLM_F_EXCL)
  static let replace = UInt16(NLM_F_REPLACE)
  /// Adds the object to the end of its list.
  package static let append = UInt16(NLM_F_APPEND)
  static let hasExtendedAcknowledgement = UInt16(NLM_F_ACK_TLVS)
  static let nested = UInt16(NLA_F_NESTED)
  /// The bits of an attribute's type without its flags (NLA_TYPE_MASK).
  static let attributeTypeMask = ~(UInt16(NLA_F_NESTED) | UInt16(NLA_F_NET_BYTEORDER))
}

extension Int {
  /// A length rounded up to the alignment of messages, attributes and next hops (NLMSG_ALIGN, NLA_ALIGN, RTNH_ALIGN).
  var netlinkAligned: Int { (self + Int(NLMSG_ALIGNTO) - 1) & ~(Int(NLMSG_ALIGNTO) - 1) }
}

/// Message types of netlink itself.
enum NetlinkType {
  static let error = UInt16(NLMSG_ERROR)
  static let done = UInt16(NLMSG_DONE)
  static let acknowledgementMessage = UInt16(NLMSGERR_ATTR_MSG.rawValue)
}

/// Message types of rtnetlink (linux/rtnetlink.h).
enum RouteMessage {
  static let newLink = UInt16(RTM_NEWLINK)
  static let deleteLink = UInt16(RTM_DELLINK)
  static let setLink = UInt16(RTM_SETLINK)
  static let getLink = UInt16(RTM_GETLINK)
  static let newAddress = UInt16(RTM_NEWADDR)
  static let deleteAddress = UInt16(RTM_DELADDR)
  static let getAddress = UInt16(RTM_GETADDR)
  static let newRoute = UInt16(RTM_NEWROUTE)
  static let deleteRoute = UInt16(RTM_DELROUTE)
  static let getRoute = UInt16(RTM_GETROUTE)
  static let newNextHop = UInt16(RTM_NEWNEXTHOP)
  static let deleteNextHop = UInt16(RTM_DELNEXTHOP)
  static let getNextHop = UInt16(RTM_GETNEXTHOP)
  static let newNeighbour = UInt16(RTM_NEWNEIGH)
  static let deleteNeighbour = UInt16(RTM_DELNEIGH)
  static let getNeighbour = UInt16(RTM_GETNEIGH)
  static let newDiscipline = UInt16(RTM_NEWQDISC)
  static let deleteDiscipline = UInt16(RTM_DELQDISC)
  static let getDiscipline = UInt16(RTM_GETQDISC)
  static let newFilter = UInt16(RTM_NEWTFILTER)
  static let deleteFilter = UInt16(RTM_DELTFILTER)
  static let getFilter = UInt16(RTM_GETTFILTER)
  static let newChain = UInt16(RTM_NEWCHAIN)
}

/// Attributes of links (linux/if_link.h).
enum LinkAttribute {
  static let name = UInt16(IFLA_IFNAME)
  static let address = UInt16(IFLA_ADDRESS)
  static let mtu = UInt16(IFLA_MTU)
  static let link = UInt16(IFLA_LINK)
  static let master = UInt16(IFLA_MASTER)
  static let operState = UInt16(IFLA_OPERSTATE)
  static let alias = UInt16(IFLA_IFALIAS)
  static let promiscuity = UInt16(IFLA_PROMISCUITY)
  static let namespaceDescriptor = UInt16(IFLA_NET_NS_FD)
  static let info = UInt16(IFLA_LINKINFO)
  static let infoKind = UInt16(IFLA_INFO_KIND)
  static let infoData = UInt16(IFLA_INFO_DATA)
  static let infoSlaveKind = UInt16(IFLA_INFO_SLAVE_KIND)
  static let infoSlaveData = UInt16(IFLA_INFO_SLAVE_DATA)
  static let vethPeer = UInt16(VETH_INFO_PEER)
  static let portHairpin = UInt16(IFLA_BRPORT_MODE)
  static let portIsolated = UInt16(IFLA_BRPORT_ISOLATED)
  static let portState = UInt16(IFLA_BRPORT_STATE)
  static let bridgeFiltersVLANs = UInt16(IFLA_BR_VLAN_FILTERING)
  static let bridgeDefaultVLAN = UInt16(IFLA_BR_VLAN_DEFAULT_PVID)
  static let familySpecific = UInt16(IFLA_AF_SPEC)
  static let familyIPv4 = UInt16(AF_INET)
  static let settingsIPv4 = UInt16(IFLA_INET_CONF)
  static let extensionMask = UInt16(IFLA_EXT_MASK)
}

/// The VLANs of a bridge's port, inside IFLA_AF_SPEC of AF_BRIDGE (linux/if_bridge.h).
enum BridgeVLANInfo {
  static let attribute = UInt16(IFLA_BRIDGE_VLAN_INFO)
  static let native = UInt16(BRIDGE_VLAN_INFO_PVID)
  static let untagged = UInt16(BRIDGE_VLAN_INFO_UNTAGGED)
  static let rangeBegin = UInt16(BRIDGE_VLAN_INFO_RANGE_BEGIN)
  static let rangeEnd = UInt16(BRIDGE_VLAN_INFO_RANGE_END)
  /// Requests the VLANs in a list of links, adjacent VLANs as ranges.
  static let compressedFilter = UInt32(RTEXT_FILTER_BRVLAN_COMPRESSED)
}

/// Attributes of addresses (linux/if_addr.h).
enum AddressAttribute {
  static let address = UInt16(IFA_ADDRESS)
  static let local = UInt16(IFA_LOCAL)
  static let broadcast = UInt16(IFA_BROADCAST)
  static let flags = UInt16(IFA_FLAGS)
  static let `protocol` = UInt16(IFA_PROTO)
}

/// Attributes of routes (linux/rtnetlink.h).
enum RouteAttribute {
  static let destination = UInt16(RTA_DST.rawValue)
  static let gateway = UInt16(RTA_GATEWAY.rawValue)
  static let via = UInt16(RTA_VIA.rawValue)
  static let outputLink = UInt16(RTA_OIF.rawValue)
  static let priority = UInt16(RTA_PRIORITY.rawValue)
  static let metrics = UInt16(RTA_METRICS.rawValue)
  static let table = UInt16(RTA_TABLE.rawValue)
  static let nextHop = UInt16(RTA_NH_ID.rawValue)
  static let multipath = UInt16(RTA_MULTIPATH.rawValue)
  static let mtu = UInt16(RTAX_MTU)
  static let advertisedMSS = UInt16(RTAX_ADVMSS)
}

/// Attributes of traffic control (linux/rtnetlink.h, linux/pkt_cls.h).
enum TrafficAttribute {
  static let kind = UInt16(TCA_KIND)
  static let options = UInt16(TCA_OPTIONS)
  static let programDescriptor = UInt16(TCA_BPF_FD)
  static let programName = UInt16(TCA_BPF_NAME)
  static let programFlags = UInt16(TCA_BPF_FLAGS)
  static let programID = UInt16(TCA_BPF_ID)
}

/// Attributes of next-hop objects (linux/nexthop.h).
enum NextHopAttribute {
  static let id = UInt16(NHA_ID)
  static let gateway = UInt16(NHA_GATEWAY)
  static let outputLink = UInt16(NHA_OIF)
}

/// Attributes of neighbours (linux/neighbour.h).
enum NeighbourAttribute {
  static let destination = UInt16(NDA_DST)
  static let hardwareAddress = UInt16(NDA_LLADDR)
  static let link = UInt16(NDA_IFINDEX)
  static let port = UInt16(NDA_PORT)
  static let vni = UInt16(NDA_VNI)
}
