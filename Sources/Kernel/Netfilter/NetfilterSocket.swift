internal import CLinux
internal import Glibc
package import Linux
package import Netlink

/// A socket for nf_tables (linux/netfilter/nf_tables.h); changes are sent as atomic transactions.
package struct NetfilterSocket: ~Copyable, Sendable {
  var netlink: NetlinkSocket

  /// Opens a socket in the calling thread's network namespace.
  package init() throws(NetlinkError) {
    netlink = try NetlinkSocket(family: NETLINK_NETFILTER)
  }

  /// Opens a socket in another network namespace.
  package init(in namespace: borrowing NetworkNamespace) throws(NetlinkError) {
    netlink = try NetlinkSocket(family: NETLINK_NETFILTER, in: namespace)
  }

  /// The number of the socket's descriptor.
  package var descriptor: Int32 { netlink.number }

  /// Carries out all requests in one transaction, or none of them.
  ///
  /// - Parameter errnos: errors that are accepted as the first error.
  /// - Returns: false if the transaction failed with an accepted error.
  /// - Throws: the first error.
  @discardableResult
  package mutating func commit(
    _ requests: [NetlinkRequest], accepting errnos: Int32...
  ) throws(NetlinkError) -> Bool {
    let failures = try netlink.perform(
      requests, between: .transactionEdge(NFNL_MSG_BATCH_BEGIN), and: .transactionEdge(NFNL_MSG_BATCH_END))
    guard let first = failures.first(where: { $0 != nil }), let failure = first else { return true }
    if errnos.contains(failure.errno) { return false }
    throw failure
  }

  /// Carries out the removals that `find` returns, in its order, in transactions of limited size.
  ///
  /// Another process may remove or use some of the objects between the search and the transaction. Then `find` runs
  /// again, up to five times in all, so that the other objects are still removed.
  package mutating func removeAll(
    _ find: (inout NetfilterSocket) throws(NetlinkError) -> [NetlinkRequest]
  ) throws(NetlinkError) {
    for _ in 0..<4 {
      if try commitParts(find(&self), accepting: ENOENT, EBUSY) { return }
    }
    try commitParts(find(&self))
  }

  /// Carries out requests in transactions of at most 100: more errors than fit the receive buffer would be lost.
  @discardableResult
  private mutating func commitParts(
    _ requests: [NetlinkRequest], accepting errnos: Int32...
  ) throws(NetlinkError) -> Bool {
    var rest = requests[...]
    while !rest.isEmpty {
      do throws(NetlinkError) {
        try commit(Array(rest.prefix(100)))
      } catch {
        if errnos.contains(error.errno) { return false }
        throw error
      }
      rest = rest.dropFirst(100)
    }
    return true
  }

  /// The number of flows in the namespace's conntrack table. If conntrack is a module, the kernel loads it first
  /// (net/netfilter/nfnetlink.c, `nfnetlink_rcv_msg`).
  package mutating func conntrackCount() throws(NetlinkError) -> Int {
    let type = UInt16(NFNL_SUBSYS_CTNETLINK) << NFTMessage.subsystemShift | UInt16(IPCTNL_MSG_CT_GET_STATS.rawValue)
    var request = NetlinkRequest("count", "the flows of conntrack", type: type)
    request.append(nfgenmsg(nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0), res_id: 0))
    let (_, attributes) = try netlink.get(request).body(nfgenmsg.self)
    let count = attributes.value(UInt16(CTA_STATS_GLOBAL_ENTRIES.rawValue), as: UInt32.self)
    return Int(UInt32(bigEndian: count ?? 0))
  }

  /// The comment of a set's element, empty if it has none; `nil` if there is no such element.
  package mutating func comment(of key: [UInt8], in set: SetName) throws(NetlinkError) -> String? {
    do throws(NetlinkError) {
      let reply = try netlink.get(.getElement(key, in: set))
      let (_, attributes) = try reply.body(nfgenmsg.self)
      let elements = try attributes.nest(NFTElementAttribute.elements)?.list(NFTAttribute.listEntry) ?? []
      guard let element = elements.first else { return nil }
      return try SetElement(Attributes(element)).comment
    } catch {
      if error.errno == ENOENT { return nil }
      throw error
    }
  }

  /// Lists the chains of a table.
  package mutating func chains(of table: TableName) throws(NetlinkError) -> [ChainName] {
    var chains: [ChainName] = []
    // The kernel lists the chains of all tables of the family.
    for reply in try netlink.dump(.listChains(of: table)) {
      let (_, attributes) = try reply.body(nfgenmsg.self)
      if attributes.string(NFTAttribute.chainTable) == table.name,
        let name = attributes.string(NFTAttribute.chainName)
      {
        chains.append(ChainName(name, in: table))
      }
    }
    return chains
  }

  /// Whether each of these chains exists, in one exchange with the kernel.
  package mutating func contains(_ chains: [ChainName]) throws(NetlinkError) -> [Bool] {
    var found: [Bool] = []
    for failure in try netlink.perform(chains.map { .getChain($0) }) {
      if let failure, failure.errno != ENOENT { throw failure }
      found.append(failure == nil)
    }
    return found
  }

  /// Lists the rules of a chain in order; empty if there is no such chain.
  package mutating func rules(of chain: ChainName) throws(NetlinkError) -> [NetfilterRule] {
    do throws(NetlinkError) {
      var rules: [NetfilterRule] = []
      for reply in try netlink.dump(.listRules(of: chain)) {
        let (_, attributes) = try reply.body(nfgenmsg.self)
        let rule = try NetfilterRule(attributes, in: chain.table)
        if rule.chain == chain { rules.append(rule) }
      }
      return rules
    } catch {
      if error.errno == ENOENT { return [] }
      throw error
    }
  }

  /// Lists the elements of a set; empty if there is no such set.
  package mutating func elements(of set: SetName) throws(NetlinkError) -> [SetElement] {
    do throws(NetlinkError) {
      var elements: [SetElement] = []
      for reply in try netlink.dump(.listElements(of: set)) {
        let (_, attributes) = try reply.body(nfgenmsg.self)
        for element in try attributes.nest(NFTElementAttribute.elements)?.list(NFTAttribute.listEntry) ?? [] {
          elements.append(try SetElement(Attributes(element)))
        }
      }
      return elements
    } catch {
      if error.errno == ENOENT { return [] }
      throw error
    }
  }
}

/// The name of a set or map with its table.
package struct SetName: Sendable, Hashable {
  /// The table that contains the set.
  package let table: TableName
  /// The name, unique in the table.
  package let name: String

  /// The name of a set in a table.
  package init(_ name: String, in table: TableName) {
    self.name = name
    self.table = table
  }
}

/// The name of a table with its family.
package struct TableName: Sendable, Hashable {
  /// The family of a table, which decides the packets that its chains see.
  package enum Family: Sendable {
    case inet
    case ip
    case ip6
    case bridge

    var kernelValue: UInt8 {
      switch self {
      case .inet: UInt8(NFPROTO_INET)
      case .ip: UInt8(NFPROTO_IPV4)
      case .ip6: UInt8(NFPROTO_IPV6)
      case .bridge: UInt8(NFPROTO_BRIDGE)
      }
    }
  }

  /// The table's family.
  package let family: Family
  /// The name, unique in the family.
  package let name: String

  /// The name of a table in a family.
  package init(_ family: Family, _ name: String) {
    self.family = family
    self.name = name
  }
}

/// An element of a set, as the kernel reports it.
package struct SetElement: Sendable, Equatable {
  /// The key's bytes.
  package let key: [UInt8]
  /// The comment in its user data; empty if there is none.
  package let comment: String

  init(_ attributes: Attributes) throws(NetlinkError) {
    key = try attributes.nest(NFTElementAttribute.key)?[NFTDataAttribute.value].map { Array($0) } ?? []
    comment = attributes[NFTElementAttribute.userData].flatMap { UserDataComment.read($0) } ?? ""
  }
}
