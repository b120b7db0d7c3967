package import Addresses
internal import CLinux
internal import Glibc
package import Netlink

extension NetlinkRequest {
  /// The message that begins or ends a transaction (NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END).
  static func transactionEdge(_ type: some BinaryInteger) -> NetlinkRequest {
    var request = NetlinkRequest("change", "nf_tables", type: UInt16(type))
    request.append(
      nfgenmsg(
        nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0), res_id: UInt16(NFNL_SUBSYS_NFTABLES).bigEndian))
    return request
  }

  /// Begins a message of nf_tables.
  static func nft(
    _ operation: String, _ subject: String, table: TableName, type: UInt16, flags: UInt16 = 0
  ) -> NetlinkRequest {
    var request = NetlinkRequest(
      operation, subject, type: UInt16(NFNL_SUBSYS_NFTABLES) << NFTMessage.subsystemShift | type, flags: flags)
    request.append(
      nfgenmsg(nfgen_family: table.family.kernelValue, version: UInt8(NFNETLINK_V0), res_id: 0))
    return request
  }

  /// Adds a table. EEXIST if it exists.
  package static func addTable(_ table: TableName) -> NetlinkRequest {
    var request = nft(
      "make the table", table.name, table: table, type: NFTMessage.newTable,
      flags: NetlinkFlag.create | NetlinkFlag.exclusive)
    request.put(NFTAttribute.tableName, cString: table.name)
    return request
  }

  /// Removes a table with its content. ENOENT if it does not exist.
  package static func removeTable(_ table: TableName) -> NetlinkRequest {
    var request = nft("remove the table", table.name, table: table, type: NFTMessage.deleteTable)
    request.put(NFTAttribute.tableName, cString: table.name)
    return request
  }

  /// Adds a chain. EEXIST if it exists.
  ///
  /// - Parameter hook: the hook of a base chain; `nil` for a chain that sees only packets that other chains send to it.
  package static func addChain(_ chain: ChainName, hook: ChainHook? = nil) -> NetlinkRequest {
    var request = nft(
      "make the chain", chain.name, table: chain.table, type: NFTMessage.newChain,
      flags: NetlinkFlag.create | NetlinkFlag.exclusive)
    request.put(NFTAttribute.chainTable, cString: chain.table.name)
    request.put(NFTAttribute.chainName, cString: chain.name)
    if let hook {
      request.nest(NFTAttribute.chainHook) {
        $0.put(NFTAttribute.hookNumber, bigEndian: hook.number)
        $0.put(NFTAttribute.hookPriority, bigEndian: hook.priority)
      }
      request.put(NFTAttribute.chainType, cString: hook.type)
    }
    return request
  }

  /// Removes a chain with its rules. EBUSY if an element or a rule leads to it, ENOENT if it does not exist.
  package static func removeChain(_ chain: ChainName) -> NetlinkRequest {
    var request = nft("remove the chain", chain.name, table: chain.table, type: NFTMessage.deleteChain)
    request.put(NFTAttribute.chainTable, cString: chain.table.name)
    request.put(NFTAttribute.chainName, cString: chain.name)
    return request
  }

  static func getChain(_ chain: ChainName) -> NetlinkRequest {
    var request = nft("look up the chain", chain.name, table: chain.table, type: NFTMessage.getChain)
    request.put(NFTAttribute.chainTable, cString: chain.table.name)
    request.put(NFTAttribute.chainName, cString: chain.name)
    return request
  }

  static func listChains(of table: TableName) -> NetlinkRequest {
    nft("list the chains of the table", table.name, table: table, type: NFTMessage.getChain)
  }

  /// Adds a set of keys, or a map from keys to verdicts.
  ///
  /// - Parameter id: a number that no other new set of the transaction has (NFTA_SET_ID).
  package static func addSet(_ set: SetName, key: SetKey, isVerdictMap: Bool = false, id: UInt32) -> NetlinkRequest {
    var request = nft(
      "make the set", set.name, table: set.table, type: NFTMessage.newSet,
      flags: NetlinkFlag.create | NetlinkFlag.exclusive)
    request.put(NFTAttribute.setTable, cString: set.table.name)
    request.put(NFTAttribute.setName, cString: set.name)
    request.put(NFTAttribute.setID, bigEndian: id)
    request.put(NFTAttribute.setKeyType, bigEndian: key.type)
    request.put(NFTAttribute.setKeyLength, bigEndian: key.lengthBytes)
    if key.isHostOrder {
      // Only `nft` reads this: without it, it lists each key as an empty string, which it does not accept as input.
      let hostOrder = unsafe withUnsafeBytes(of: NFTUserData.hostOrder) { unsafe [UInt8]($0) }
      request.put(NFTAttribute.setUserData, bytes: [NFTUserData.keyByteOrder, UInt8(hostOrder.count)] + hostOrder)
    }
    if isVerdictMap {
      request.put(NFTAttribute.setFlags, bigEndian: NFTAttribute.setIsMap)
      request.put(NFTAttribute.setDataType, bigEndian: UInt32(NFT_DATA_VERDICT.rawValue))
    }
    return request
  }

  /// Appends a rule to a chain, or inserts it before the rule with a handle. ENOENT if chain or handle does not exist.
  package static func addRule(
    _ expressions: [RuleExpression], to chain: ChainName, before handle: UInt64? = nil, comment: String? = nil
  ) -> NetlinkRequest {
    var request = nft(
      "add a rule to the chain", chain.name, table: chain.table, type: NFTMessage.newRule,
      flags: NetlinkFlag.create | (handle == nil ? NetlinkFlag.append : 0))
    request.put(NFTAttribute.ruleTable, cString: chain.table.name)
    request.put(NFTAttribute.ruleChain, cString: chain.name)
    if let handle { request.put(NFTAttribute.rulePosition, bigEndian: handle) }
    if let comment { request.put(NFTAttribute.ruleUserData, bytes: UserDataComment.bytes(comment)) }
    request.nest(NFTAttribute.ruleExpressions) { list in
      for expression in expressions {
        list.nest(NFTAttribute.listEntry) { entry in
          entry.put(NFTAttribute.expressionName, cString: expression.name)
          entry.nest(NFTAttribute.expressionData) { expression.put(in: &$0) }
        }
      }
    }
    return request
  }

  /// Removes a rule. ENOENT if it does not exist.
  package static func removeRule(_ rule: NetfilterRule) -> NetlinkRequest {
    var request = nft(
      "remove a rule of the chain", rule.chain.name, table: rule.chain.table, type: NFTMessage.deleteRule)
    request.put(NFTAttribute.ruleTable, cString: rule.chain.table.name)
    request.put(NFTAttribute.ruleChain, cString: rule.chain.name)
    request.put(NFTAttribute.ruleHandle, bigEndian: rule.handle)
    return request
  }

  /// Removes all rules of a chain. ENOENT if the chain does not exist.
  package static func flushChain(_ chain: ChainName) -> NetlinkRequest {
    var request = nft("empty the chain", chain.name, table: chain.table, type: NFTMessage.deleteRule)
    request.put(NFTAttribute.ruleTable, cString: chain.table.name)
    request.put(NFTAttribute.ruleChain, cString: chain.name)
    return request
  }

  static func listRules(of chain: ChainName) -> NetlinkRequest {
    var request = nft("list the rules of the chain", chain.name, table: chain.table, type: NFTMessage.getRule)
    request.put(NFTAttribute.ruleTable, cString: chain.table.name)
    request.put(NFTAttribute.ruleChain, cString: chain.name)
    return request
  }

  /// Adds an element to a set or verdict map. EEXIST if the set has the key, ENOENT if table, set or chain does not
  /// exist.
  ///
  /// - Parameter chain: in a verdict map, the chain that packets with this key jump to.
  package static func addElement(
    _ key: [UInt8], to set: SetName, jump chain: ChainName? = nil, comment: String? = nil
  ) -> NetlinkRequest {
    element(
      "add an element to the set", key, of: set, type: NFTMessage.newElement,
      flags: NetlinkFlag.create | NetlinkFlag.exclusive
    ) {
      if let chain {
        $0.nest(NFTElementAttribute.data) { $0.put(verdict: Int32(NFT_JUMP.rawValue), chain: chain.name) }
      }
      if let comment { $0.put(NFTElementAttribute.userData, bytes: UserDataComment.bytes(comment)) }
    }
  }

  /// Removes an element. ENOENT if it does not exist.
  package static func removeElement(_ key: [UInt8], from set: SetName) -> NetlinkRequest {
    element("remove an element of the set", key, of: set, type: NFTMessage.deleteElement)
  }

  static func getElement(_ key: [UInt8], in set: SetName) -> NetlinkRequest {
    element("look up an element of the set", key, of: set, type: NFTMessage.getElement)
  }

  static func listElements(of set: SetName) -> NetlinkRequest {
    var request = nft("list the elements of the set", set.name, table: set.table, type: NFTMessage.getElement)
    request.put(NFTElementAttribute.table, cString: set.table.name)
    request.put(NFTElementAttribute.set, cString: set.name)
    return request
  }

  private static func element(
    _ operation: String, _ key: [UInt8], of set: SetName, type: UInt16, flags: UInt16 = 0,
    rest: (inout NetlinkRequest) -> Void = { _ in }
  ) -> NetlinkRequest {
    var request = nft(operation, set.name, table: set.table, type: type, flags: flags)
    request.put(NFTElementAttribute.table, cString: set.table.name)
    request.put(NFTElementAttribute.set, cString: set.name)
    request.nest(NFTElementAttribute.elements) { list in
      list.nest(NFTAttribute.listEntry) { entry in
        entry.nest(NFTElementAttribute.key) { $0.put(NFTDataAttribute.value, bytes: key) }
        rest(&entry)
      }
    }
    return request
  }

  /// Adds a verdict as the data of an element or an expression.
  mutating func put(verdict code: Int32, chain: String? = nil) {
    nest(NFTDataAttribute.verdict) {
      $0.put(NFTDataAttribute.verdictCode, bigEndian: code)
      if let chain { $0.put(NFTDataAttribute.verdictChain, cString: chain) }
    }
  }
}

/// The name of a chain with its table.
package struct ChainName: Sendable, Hashable {
  /// The table that contains the chain.
  package let table: TableName
  /// The name, unique in the table.
  package let name: String

  /// The name of a chain in a table.
  package init(_ name: String, in table: TableName) {
    self.name = name
    self.table = table
  }
}

/// The hook and priority at which a base chain sees packets.
package struct ChainHook: Sendable {
  let type: String
  let number: UInt32
  let priority: Int32

  /// Source address translation, at the priority that `nft` calls srcnat.
  package static let sourceNAT = ChainHook(
    type: "nat", number: UInt32(NF_INET_POST_ROUTING.rawValue), priority: NF_IP_PRI_NAT_SRC.rawValue)
  /// Each incoming packet, at the priority that `nft` calls raw, and dstnat in a table of the bridge family.
  package static let prerouting = ChainHook(
    type: "filter", number: UInt32(NF_INET_PRE_ROUTING.rawValue), priority: NF_IP_PRI_RAW.rawValue)
}

/// The type and size of a set's keys. The kernel stores the type's number for `nft` (include/datatype.h).
package struct SetKey: Sendable {
  let type: UInt32
  let lengthBytes: UInt32
  /// Whether keys are in the machine's byte order, not in network byte order.
  var isHostOrder = false

  /// `ipv4_addr`.
  package static let ipv4Address = SetKey(type: NFTDataType.ipv4Address, lengthBytes: 4)
  /// `ipv6_addr`.
  package static let ipv6Address = SetKey(type: NFTDataType.ipv6Address, lengthBytes: 16)
  /// The size of a link's name in keys (linux/if.h, IFNAMSIZ).
  private static let linkNameBytes = 16
  /// `ifname`: a link's name, padded with zeros.
  package static let linkName = SetKey(
    type: NFTDataType.linkName, lengthBytes: UInt32(linkNameBytes), isHostOrder: true)

  /// The key of a link's name, padded with zeros.
  package static func bytes(ofLink name: String) -> [UInt8] {
    let name = Array(name.utf8.prefix(linkNameBytes))
    return name + [UInt8](repeating: 0, count: linkNameBytes - name.count)
  }

  /// `ifname . ether_addr`: the MAC is padded to a multiple of four bytes.
  package static let linkNameAndMAC = SetKey(
    type: NFTDataType.linkName << NFTDataType.bits | NFTDataType.mac, lengthBytes: UInt32(linkNameBytes) + 8)

  /// `ifname . ipv4_addr` or `ifname . ipv6_addr`.
  package static func linkName(and family: IPFamily) -> SetKey {
    let address = family == .v4 ? ipv4Address : ipv6Address
    return SetKey(
      type: NFTDataType.linkName << NFTDataType.bits | address.type,
      lengthBytes: UInt32(linkNameBytes) + address.lengthBytes)
  }
}
