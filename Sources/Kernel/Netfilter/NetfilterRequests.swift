package import Addresses
internal import CLinux
internal import Glibc
package import Netlink

extension NetlinkRequest {
  /// What a transaction begins or ends with.
  static func transactionEdge(_ type: some BinaryInteger) -> NetlinkRequest {
    var request = NetlinkRequest("change", "nf_tables", type: UInt16(type))
    request.append(
      nfgenmsg(
        nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0), res_id: UInt16(NFNL_SUBSYS_NFTABLES).bigEndian))
    return request
  }

  static func nft(
    _ operation: String, _ subject: String, _ table: TableName, _ type: UInt16, _ flags: UInt16 = 0
  ) -> NetlinkRequest {
    var request = NetlinkRequest(operation, subject, type: UInt16(NFNL_SUBSYS_NFTABLES) << 8 | type, flags: flags)
    request.append(
      nfgenmsg(nfgen_family: table.family.kernelValue, version: UInt8(NFNETLINK_V0), res_id: 0))
    return request
  }

  /// Makes a table. EEXIST where it is there.
  package static func addTable(_ table: TableName) -> NetlinkRequest {
    var request = nft(
      "make the table", table.name, table, NFTMessage.newTable, NetlinkFlag.create | NetlinkFlag.exclusive)
    request.put(NFTAttribute.tableName, cString: table.name)
    return request
  }

  /// Removes a table with all that is in it. ENOENT where it is not there.
  package static func removeTable(_ table: TableName) -> NetlinkRequest {
    var request = nft("remove the table", table.name, table, NFTMessage.deleteTable)
    request.put(NFTAttribute.tableName, cString: table.name)
    return request
  }

  /// Makes a chain; with a hook it sees packets by itself, else only what another chain sends it. EEXIST where it is
  /// there.
  package static func addChain(_ chain: ChainName, hook: ChainHook? = nil) -> NetlinkRequest {
    var request = nft(
      "make the chain", chain.name, chain.table, NFTMessage.newChain, NetlinkFlag.create | NetlinkFlag.exclusive)
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

  /// Removes a chain with its rules. EBUSY while an element or a rule leads to it, ENOENT where it is not there.
  package static func removeChain(_ chain: ChainName) -> NetlinkRequest {
    var request = nft("remove the chain", chain.name, chain.table, NFTMessage.deleteChain)
    request.put(NFTAttribute.chainTable, cString: chain.table.name)
    request.put(NFTAttribute.chainName, cString: chain.name)
    return request
  }

  static func getChain(_ chain: ChainName) -> NetlinkRequest {
    var request = nft("look for the chain", chain.name, chain.table, NFTMessage.getChain)
    request.put(NFTAttribute.chainTable, cString: chain.table.name)
    request.put(NFTAttribute.chainName, cString: chain.name)
    return request
  }

  static func listChains(of table: TableName) -> NetlinkRequest {
    nft("list the chains of the table", table.name, table, NFTMessage.getChain)
  }

  /// Makes a set of keys, or a map from keys to verdicts. `id` tells it from other new ones of the transaction.
  package static func addSet(_ set: SetName, key: SetKey, isVerdictMap: Bool = false, id: UInt32) -> NetlinkRequest {
    var request = nft(
      "make the set", set.name, set.table, NFTMessage.newSet, NetlinkFlag.create | NetlinkFlag.exclusive)
    request.put(NFTAttribute.setTable, cString: set.table.name)
    request.put(NFTAttribute.setName, cString: set.name)
    request.put(NFTAttribute.setID, bigEndian: id)
    request.put(NFTAttribute.setKeyType, bigEndian: key.type)
    request.put(NFTAttribute.setKeyLength, bigEndian: key.lengthBytes)
    if key.isHostOrder {
      // For `nft` alone, as libnftnl has it (NFTNL_UDATA_SET_KEYBYTEORDER): without it each key is listed as an empty
      // text, which no ruleset may have.
      let hostOrder = unsafe withUnsafeBytes(of: UInt32(1)) { unsafe [UInt8]($0) }
      request.put(NFTAttribute.setUserData, bytes: [0, UInt8(hostOrder.count)] + hostOrder)
    }
    if isVerdictMap {
      request.put(NFTAttribute.setFlags, bigEndian: NFTAttribute.setIsMap)
      request.put(NFTAttribute.setDataType, bigEndian: UInt32(NFT_DATA_VERDICT.rawValue))
    }
    return request
  }

  /// Appends a rule to a chain, or puts it before the rule of that handle. ENOENT where chain or handle is not there.
  package static func addRule(
    _ expressions: [RuleExpression], to chain: ChainName, before handle: UInt64? = nil, comment: String? = nil
  ) -> NetlinkRequest {
    var request = nft(
      "add a rule to the chain", chain.name, chain.table, NFTMessage.newRule,
      NetlinkFlag.create | (handle == nil ? NetlinkFlag.append : 0))
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

  /// Removes a rule. ENOENT where it is not there.
  package static func removeRule(_ rule: NetfilterRule) -> NetlinkRequest {
    var request = nft("remove a rule of the chain", rule.chain.name, rule.chain.table, NFTMessage.deleteRule)
    request.put(NFTAttribute.ruleTable, cString: rule.chain.table.name)
    request.put(NFTAttribute.ruleChain, cString: rule.chain.name)
    request.put(NFTAttribute.ruleHandle, bigEndian: rule.handle)
    return request
  }

  /// Removes all rules of a chain. ENOENT where it is not there.
  package static func flushChain(_ chain: ChainName) -> NetlinkRequest {
    var request = nft("empty the chain", chain.name, chain.table, NFTMessage.deleteRule)
    request.put(NFTAttribute.ruleTable, cString: chain.table.name)
    request.put(NFTAttribute.ruleChain, cString: chain.name)
    return request
  }

  static func listRules(of chain: ChainName) -> NetlinkRequest {
    var request = nft("list the rules of the chain", chain.name, chain.table, NFTMessage.getRule)
    request.put(NFTAttribute.ruleTable, cString: chain.table.name)
    request.put(NFTAttribute.ruleChain, cString: chain.name)
    return request
  }

  /// Adds an element; in a map its packets jump to a chain. EEXIST where the key is there, ENOENT where table, set or
  /// chain is not.
  package static func addElement(
    _ key: [UInt8], to set: SetName, jump chain: ChainName? = nil, comment: String? = nil
  ) -> NetlinkRequest {
    element("add an element to the set", key, set, NFTMessage.newElement, NetlinkFlag.create | NetlinkFlag.exclusive) {
      if let chain {
        $0.nest(NFTElementAttribute.data) { $0.verdict(Int32(NFT_JUMP.rawValue), chain.name) }
      }
      if let comment { $0.put(NFTElementAttribute.userData, bytes: UserDataComment.bytes(comment)) }
    }
  }

  /// Removes an element. ENOENT where it is not there.
  package static func removeElement(_ key: [UInt8], from set: SetName) -> NetlinkRequest {
    element("remove an element of the set", key, set, NFTMessage.deleteElement, 0) { _ in }
  }

  static func getElement(_ key: [UInt8], in set: SetName) -> NetlinkRequest {
    element("look for an element of the set", key, set, NFTMessage.getElement, 0) { _ in }
  }

  static func listElements(of set: SetName) -> NetlinkRequest {
    var request = nft("list the elements of the set", set.name, set.table, NFTMessage.getElement)
    request.put(NFTElementAttribute.table, cString: set.table.name)
    request.put(NFTElementAttribute.set, cString: set.name)
    return request
  }

  private static func element(
    _ operation: String, _ key: [UInt8], _ set: SetName, _ type: UInt16, _ flags: UInt16,
    _ rest: (inout NetlinkRequest) -> Void
  ) -> NetlinkRequest {
    var request = nft(operation, set.name, set.table, type, flags)
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

  /// A verdict as the data of an element or an expression.
  mutating func verdict(_ code: Int32, _ chain: String? = nil) {
    nest(NFTDataAttribute.verdict) {
      $0.put(NFTDataAttribute.verdictCode, bigEndian: code)
      if let chain { $0.put(NFTDataAttribute.verdictChain, cString: chain) }
    }
  }
}

/// A chain by the table that it is in.
package struct ChainName: Sendable, Hashable {
  package let table: TableName
  package let name: String

  package init(_ name: String, in table: TableName) {
    self.name = name
    self.table = table
  }
}

/// Where a base chain sees packets.
package struct ChainHook: Sendable {
  let type: String
  let number: UInt32
  let priority: Int32

  /// Source address translation, at the priority that `nft` calls srcnat.
  package static let sourceNAT = ChainHook(
    type: "nat", number: UInt32(NF_INET_POST_ROUTING.rawValue), priority: 100)
  /// Each packet as it comes in, at the priority that `nft` calls raw, and in a bridge's table dstnat.
  package static let prerouting = ChainHook(
    type: "filter", number: UInt32(NF_INET_PRE_ROUTING.rawValue), priority: -300)
}

/// What a set's keys are: the number that `nft` knows the type by (its include/datatype.h), and their size.
package struct SetKey: Sendable {
  let type: UInt32
  let lengthBytes: UInt32
  /// The kernel has it in its own byte order, not in the network's.
  var isHostOrder = false

  package static let ipv4Address = SetKey(type: 7, lengthBytes: 4)
  package static let ipv6Address = SetKey(type: 8, lengthBytes: 16)
  package static let linkName = SetKey(type: 41, lengthBytes: 16, isHostOrder: true)
  /// A link's name as a key: 16 bytes, filled with zeros.
  package static func bytes(ofLink name: String) -> [UInt8] {
    let name = Array(name.utf8.prefix(16))
    return name + [UInt8](repeating: 0, count: 16 - name.count)
  }

  /// `ifname . ether_addr`: `nft` keeps six bits for each type, and each part fills whole four bytes.
  package static let linkNameAndMAC = SetKey(type: 41 << 6 | 9, lengthBytes: 16 + 8)
  /// `ifname . ipv4_addr` or `ifname . ipv6_addr`.
  package static func linkName(and family: IPFamily) -> SetKey {
    let address = family == .v4 ? ipv4Address : ipv6Address
    return SetKey(type: 41 << 6 | address.type, lengthBytes: 16 + address.lengthBytes)
  }
}
