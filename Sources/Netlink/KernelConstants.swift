internal import CLinux

// The kernel's constants arrive in Swift as four different integer types; here they get the one they have on the wire.

/// Flags of `nlmsghdr` and `nlattr` (linux/netlink.h).
enum NetlinkFlag {
  static let request = UInt16(NLM_F_REQUEST)
  static let acknowledge = UInt16(NLM_F_ACK)
  static let dump = UInt16(NLM_F_ROOT) | UInt16(NLM_F_MATCH)
  static let dumpInterrupted = UInt16(NLM_F_DUMP_INTR)
  static let create = UInt16(NLM_F_CREATE)
  static let exclusive = UInt16(NLM_F_EXCL)
  static let replace = UInt16(NLM_F_REPLACE)
  static let append = UInt16(NLM_F_APPEND)
  static let hasExtendedAcknowledgement = UInt16(NLM_F_ACK_TLVS)
  static let nested: UInt16 = 1 << 15
  static let attributeTypeMask: UInt16 = 0x3FFF
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
  /// Asks a list of links for the VLANs too, neighbouring ones as ranges.
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

/// Attributes of VXLAN devices (linux/if_link.h).
enum VXLANAttribute {
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

/// Message types of nf_tables, without the subsystem's part (linux/netfilter/nf_tables.h).
enum NFTMessage {
  static let newTable = UInt16(NFT_MSG_NEWTABLE.rawValue)
  static let getTable = UInt16(NFT_MSG_GETTABLE.rawValue)
  static let deleteTable = UInt16(NFT_MSG_DELTABLE.rawValue)
  static let newChain = UInt16(NFT_MSG_NEWCHAIN.rawValue)
  static let getChain = UInt16(NFT_MSG_GETCHAIN.rawValue)
  static let deleteChain = UInt16(NFT_MSG_DELCHAIN.rawValue)
  static let newRule = UInt16(NFT_MSG_NEWRULE.rawValue)
  static let getRule = UInt16(NFT_MSG_GETRULE.rawValue)
  static let deleteRule = UInt16(NFT_MSG_DELRULE.rawValue)
  static let newSet = UInt16(NFT_MSG_NEWSET.rawValue)
  static let getSet = UInt16(NFT_MSG_GETSET.rawValue)
  static let newElement = UInt16(NFT_MSG_NEWSETELEM.rawValue)
  static let getElement = UInt16(NFT_MSG_GETSETELEM.rawValue)
  static let deleteElement = UInt16(NFT_MSG_DELSETELEM.rawValue)
  static let newGeneration = UInt16(NFT_MSG_NEWGEN.rawValue)
}

/// Attributes of tables, chains, sets and rules.
enum NFTAttribute {
  static let tableName = UInt16(NFTA_TABLE_NAME.rawValue)
  static let tableFlags = UInt16(NFTA_TABLE_FLAGS.rawValue)
  static let chainTable = UInt16(NFTA_CHAIN_TABLE.rawValue)
  static let chainName = UInt16(NFTA_CHAIN_NAME.rawValue)
  static let chainHook = UInt16(NFTA_CHAIN_HOOK.rawValue)
  static let chainType = UInt16(NFTA_CHAIN_TYPE.rawValue)
  static let chainPolicy = UInt16(NFTA_CHAIN_POLICY.rawValue)
  static let chainFlags = UInt16(NFTA_CHAIN_FLAGS.rawValue)
  static let hookNumber = UInt16(NFTA_HOOK_HOOKNUM.rawValue)
  static let hookPriority = UInt16(NFTA_HOOK_PRIORITY.rawValue)
  static let setTable = UInt16(NFTA_SET_TABLE.rawValue)
  static let setName = UInt16(NFTA_SET_NAME.rawValue)
  static let setFlags = UInt16(NFTA_SET_FLAGS.rawValue)
  static let setKeyType = UInt16(NFTA_SET_KEY_TYPE.rawValue)
  static let setKeyLength = UInt16(NFTA_SET_KEY_LEN.rawValue)
  static let setDataType = UInt16(NFTA_SET_DATA_TYPE.rawValue)
  static let setID = UInt16(NFTA_SET_ID.rawValue)
  static let setUserData = UInt16(NFTA_SET_USERDATA.rawValue)
  static let setIsMap = UInt32(NFT_SET_MAP.rawValue)
  static let ruleTable = UInt16(NFTA_RULE_TABLE.rawValue)
  static let ruleChain = UInt16(NFTA_RULE_CHAIN.rawValue)
  static let ruleHandle = UInt16(NFTA_RULE_HANDLE.rawValue)
  static let rulePosition = UInt16(NFTA_RULE_POSITION.rawValue)
  static let ruleExpressions = UInt16(NFTA_RULE_EXPRESSIONS.rawValue)
  static let ruleUserData = UInt16(NFTA_RULE_USERDATA.rawValue)
  static let listEntry = UInt16(NFTA_LIST_ELEM.rawValue)
  static let expressionName = UInt16(NFTA_EXPR_NAME.rawValue)
  static let expressionData = UInt16(NFTA_EXPR_DATA.rawValue)
}

/// Attributes of set elements.
enum NFTElementAttribute {
  static let table = UInt16(NFTA_SET_ELEM_LIST_TABLE.rawValue)
  static let set = UInt16(NFTA_SET_ELEM_LIST_SET.rawValue)
  static let elements = UInt16(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue)
  static let key = UInt16(NFTA_SET_ELEM_KEY.rawValue)
  static let data = UInt16(NFTA_SET_ELEM_DATA.rawValue)
  static let userData = UInt16(NFTA_SET_ELEM_USERDATA.rawValue)
}

/// Attributes of the data that expressions and elements hold.
enum NFTDataAttribute {
  static let value = UInt16(NFTA_DATA_VALUE.rawValue)
  static let verdict = UInt16(NFTA_DATA_VERDICT.rawValue)
  static let verdictCode = UInt16(NFTA_VERDICT_CODE.rawValue)
  static let verdictChain = UInt16(NFTA_VERDICT_CHAIN.rawValue)
}

/// Attributes of the expressions that are read back.
enum NFTExpressionAttribute {
  static let comparedData = UInt16(NFTA_CMP_DATA.rawValue)
  static let immediateData = UInt16(NFTA_IMMEDIATE_DATA.rawValue)
  static let matchName = UInt16(NFTA_MATCH_NAME.rawValue)
  static let matchInfo = UInt16(NFTA_MATCH_INFO.rawValue)
}
