internal import Addresses
internal import CLinux

/// Message types of nf_tables, without the subsystem's bits (linux/netfilter/nf_tables.h).
enum NFTMessage {
  /// The bits of a message's type that are the subsystem's own; the others are the subsystem's number.
  static let typeMask: UInt16 = 0xFF
  static let subsystemShift = 8
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

/// Attributes of the expressions that are read from the kernel's rules.
enum NFTExpressionAttribute {
  static let comparedData = UInt16(NFTA_CMP_DATA.rawValue)
  static let immediateData = UInt16(NFTA_IMMEDIATE_DATA.rawValue)
  static let matchName = UInt16(NFTA_MATCH_NAME.rawValue)
  static let matchInfo = UInt16(NFTA_MATCH_INFO.rawValue)
}

/// Types of keys and data that only `nft` knows (nftables, include/datatype.h, `enum datatypes`).
enum NFTDataType {
  /// TYPE_IPADDR.
  static let ipv4Address: UInt32 = 7
  /// TYPE_IP6ADDR.
  static let ipv6Address: UInt32 = 8
  /// TYPE_ETHERADDR.
  static let mac: UInt32 = 9
  /// TYPE_IFNAME.
  static let linkName: UInt32 = 41
  /// TYPE_BITS: the bits of each type in a concatenation.
  static let bits: UInt32 = 6
}

/// Types of entries in user data that only `nft` knows (libnftnl, include/libnftnl/udata.h).
enum NFTUserData {
  /// NFTNL_UDATA_RULE_COMMENT and NFTNL_UDATA_SET_ELEM_COMMENT.
  static let comment: UInt8 = 0
  /// NFTNL_UDATA_SET_KEYBYTEORDER.
  static let keyByteOrder: UInt8 = 0
  /// BYTEORDER_HOST_ENDIAN (nftables, include/datatype.h, `enum byteorder`).
  static let hostOrder: UInt32 = 1
}

/// The position of a packet's addresses, in bytes from the start of the network header (linux/ip.h, linux/ipv6.h).
enum AddressField {
  /// `saddr` of `struct iphdr` or `struct ipv6hdr`.
  static func sourceOffset(_ family: IPFamily) -> UInt32 { family == .v4 ? 12 : 8 }
  /// `daddr` of `struct iphdr` or `struct ipv6hdr`.
  static func destinationOffset(_ family: IPFamily) -> UInt32 { family == .v4 ? 16 : 24 }
  /// The length of an address of the family.
  static func length(_ family: IPFamily) -> UInt32 { UInt32(family.bitCount / 8) }
}

/// The position of a frame's source MAC, in bytes from the start of the link header (linux/if_ether.h, `struct ethhdr`).
enum SourceMACField {
  static let offset = UInt32(ETH_ALEN)
  static let length = UInt32(ETH_ALEN)
}
