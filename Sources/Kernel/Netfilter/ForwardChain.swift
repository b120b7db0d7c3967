internal import CLinux
internal import Glibc
package import Netlink

/// A chain that sees every packet that this node forwards: each such chain, in whatever table, may drop it, and what one
/// accepts the next one may still drop.
package struct ForwardChain: Sendable, Equatable {
  package let name: ChainName
  /// Whether a packet that no rule has decided on is dropped.
  package let dropsTheRest: Bool

  static let hook = UInt32(NF_INET_FORWARD.rawValue)

  static func hookNumber(_ attributes: Attributes) -> UInt32? {
    attributes.value(NFTAttribute.hookNumber, as: UInt32.self).map { UInt32(bigEndian: $0) }
  }
}

extension NetfilterSocket {
  /// The chains at the forward hook of tables that see IP packets.
  package mutating func forwardChains() throws(NetlinkError) -> [ForwardChain] {
    var chains: [ForwardChain] = []
    for family in [TableName.Family.ip, .ip6, .inet] {
      // Listed are the chains of all tables of the family.
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

  /// The rules of a chain as far as they decide on packets by their addresses alone; empty where there is no such chain.
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
  /// The rules with this comment, in all tables that see IP packets.
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
    nft("list the rules of", "\(family) tables", TableName(family, ""), NFTMessage.getRule)
  }
}

extension TableName: CustomStringConvertible {
  /// As `nft` has it: `inet causeway`.
  package var description: String { "\(family) \(name)" }
}

extension ChainName: CustomStringConvertible {
  /// As `nft` has it: `ip filter FORWARD`.
  package var description: String { "\(table) \(name)" }
}
