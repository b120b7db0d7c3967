internal import CLinux
internal import Glibc
package import Netlink

/// A base chain at the forward hook, which sees every packet that this node forwards.
///
/// A packet passes all such chains of all tables: each one may drop it, even if another one accepted it.
package struct ForwardChain: Sendable, Equatable {
  /// The chain's table and name.
  package let name: ChainName
  /// Whether the chain's policy is drop: packets that no rule decides on are dropped.
  package let dropsTheRest: Bool

  static let hook = UInt32(NF_INET_FORWARD.rawValue)

  static func hookNumber(_ attributes: Attributes) -> UInt32? {
    attributes.value(NFTAttribute.hookNumber, as: UInt32.self).map { UInt32(bigEndian: $0) }
  }
}

extension NetfilterSocket {
  /// Lists the chains at the forward hook of all tables that see IP packets.
  package mutating func forwardChains() throws(NetlinkError) -> [ForwardChain] {
    var chains: [ForwardChain] = []
    for family in [TableName.Family.ip, .ip6, .inet] {
      // The kernel lists the chains of all tables of the family.
      for reply in try netlink.dump(.listChains(of: TableName(family, ""))) {
        let (_, attributes) = try reply.body(nfgenmsg.self)
        guard let hook = try attributes.nest(NFTAttribute.chainHook),
          ForwardChain.hookNumber(hook) == ForwardChain.hook,
          let table = attributes.string(NFTAttribute.chainTable),
          let name = attributes.string(NFTAttribute.chainName)
        else { continue }
        let policy = attributes.value(NFTAttribute.chainPolicy, as: UInt32.self)
        chains.append(
          ForwardChain(
            name: ChainName(name, in: TableName(family, table)),
            dropsTheRest: policy == UInt32(NF_DROP).bigEndian))
      }
    }
    return chains
  }

  /// Lists the rules of a chain with their effect on packets by addresses; empty if there is no such chain.
  package mutating func filterRules(of chain: ChainName) throws(NetlinkError) -> [FilterRule] {
    do throws(NetlinkError) {
      var rules: [FilterRule] = []
      for reply in try netlink.dump(.listRules(of: chain)) {
        rules.append(try FilterRule(reply.body(nfgenmsg.self).1, in: chain.table))
      }
      return rules
    } catch {
      if error.errno == ENOENT { return [] }
      throw error
    }
  }
}

extension NetfilterSocket {
  /// Lists the rules with this comment in all tables that see IP packets.
  package mutating func rules(commented comment: String) throws(NetlinkError) -> [NetfilterRule] {
    var rules: [NetfilterRule] = []
    for family in [TableName.Family.ip, .ip6, .inet] {
      for reply in try netlink.dump(.listRules(of: family)) {
        let (_, attributes) = try reply.body(nfgenmsg.self)
        let table = TableName(family, attributes.string(NFTAttribute.ruleTable) ?? "")
        let rule = try NetfilterRule(attributes, in: table)
        if rule.comment == comment { rules.append(rule) }
      }
    }
    return rules
  }
}

extension NetlinkRequest {
  fileprivate static func listRules(of family: TableName.Family) -> NetlinkRequest {
    nft("list the rules of", "\(family) tables", table: TableName(family, ""), type: NFTMessage.getRule)
  }
}

extension TableName: CustomStringConvertible {
  /// Family and name as `nft` writes them: `inet causeway`.
  package var description: String { "\(family) \(name)" }
}

extension ChainName: CustomStringConvertible {
  /// Table and name as `nft` writes them: `ip filter FORWARD`.
  package var description: String { "\(table) \(name)" }
}
