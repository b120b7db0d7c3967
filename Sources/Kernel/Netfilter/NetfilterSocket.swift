internal import CLinux
internal import Glibc
package import Linux
package import Netlink

/// A socket for nf_tables (linux/netfilter/nf_tables.h): what is asked in one transaction happens at once or not at all.
package struct NetfilterSocket: ~Copyable, Sendable {
  var netlink: NetlinkSocket

  /// In the calling thread's network namespace.
  package init() throws(NetlinkError) {
    netlink = try NetlinkSocket(family: NETLINK_NETFILTER)
  }

  /// In another namespace; the caller's own stays as it is.
  package init(in namespace: borrowing NetworkNamespace) throws(NetlinkError) {
    netlink = try NetlinkSocket(family: NETLINK_NETFILTER, in: namespace)
  }

  /// For whoever must keep the socket open.
  package var descriptor: Int32 { netlink.number }

  /// Does all of it, or nothing and throws the first refusal.
  ///
  /// An errno in `accepting` as the first refusal is fine too; says whether the transaction took place.
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

  /// Removes what `find` names, in transactions that come in its order.
  ///
  /// Another process may remove some of it, or make use of it, between look and transaction: then `find` looks again, up
  /// to five times, so that the rest does not stay because of it.
  package mutating func removeAll(
    _ find: (inout NetfilterSocket) throws(NetlinkError) -> [NetlinkRequest]
  ) throws(NetlinkError) {
    for _ in 0..<4 {
      if try commitParts(find(&self), accepting: ENOENT, EBUSY) { return }
    }
    try commitParts(find(&self))
  }

  /// A transaction of more refusals than fit the receive buffer would lose some.
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

  /// How many flows conntrack knows in the namespace. A kernel that has it as a module loads that first
  /// (net/netfilter/nfnetlink.c, `nfnetlink_rcv_msg`).
  package mutating func conntrackCount() throws(NetlinkError) -> Int {
    // IPCTNL_MSG_CT_GET_STATS, CTA_STATS_GLOBAL_ENTRIES (linux/netfilter/nfnetlink_conntrack.h).
    var request = NetlinkRequest("count", "the flows of conntrack", type: UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | 5)
    request.append(nfgenmsg(nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0), res_id: 0))
    let (_, attributes) = try netlink.get(request).body(nfgenmsg.self)
    return Int(UInt32(bigEndian: attributes.value(1, as: UInt32.self) ?? 0))
  }

  /// The comment of a set's element, empty where it has none; `nil` where there is no such element.
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

  /// The chains of a table.
  package mutating func chains(of table: TableName) throws(NetlinkError) -> [ChainName] {
    var chains: [ChainName] = []
    // The kernel lists those of all tables of the family.
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

  /// Of each chain whether it is there; one question for all.
  package mutating func contains(_ chains: [ChainName]) throws(NetlinkError) -> [Bool] {
    var found: [Bool] = []
    for failure in try netlink.perform(chains.map { .getChain($0) }) {
      if let failure, failure.errno != ENOENT { throw failure }
      found.append(failure == nil)
    }
    return found
  }

  /// The rules of a chain in their order; empty where there is no such chain.
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

  /// All elements of a set; empty where there is no such set.
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

/// A set or map by the table that it is in.
package struct SetName: Sendable, Hashable {
  package let table: TableName
  package let name: String

  package init(_ name: String, in table: TableName) {
    self.name = name
    self.table = table
  }
}

/// A table by its family.
package struct TableName: Sendable, Hashable {
  /// Which packets a table's chains see.
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

  package let family: Family
  package let name: String

  package init(_ family: Family, _ name: String) {
    self.family = family
    self.name = name
  }
}

/// An element of a set, as the kernel tells it.
package struct SetElement: Sendable, Equatable {
  package let key: [UInt8]
  package let comment: String

  init(_ attributes: Attributes) throws(NetlinkError) {
    key = try attributes.nest(NFTElementAttribute.key)?[NFTDataAttribute.value].map { Array($0) } ?? []
    comment = attributes[NFTElementAttribute.userData].flatMap { UserDataComment.read($0) } ?? ""
  }
}
