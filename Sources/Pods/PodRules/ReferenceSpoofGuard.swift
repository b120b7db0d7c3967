package import Netfilter
package import Netlink

/// Rules and chains that the reference `bridge` plugin made for `macspoofchk` in the table `bridge nat`: a rule for the
/// port, the chain that it leads to, and a chain behind this one for the MAC.
package enum ReferenceSpoofGuard {
  private static let table = TableName(.bridge, "nat")
  private static let start = ChainName("PREROUTING", in: table)

  /// The attachment's chain; without it there is nothing to remove.
  package static func chain(_ names: ReferenceNames) -> ChainName { ChainName(names.guardChain, in: table) }

  /// Removes the attachment's rules and chains; absence is success.
  package static func remove(
    _ names: ReferenceNames, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    try remove(&netfilter) { _ in [names.guardChain] }
  }

  /// Removes the rules and chains of these attachments, and those of ports that no longer exist. They name no network.
  package static func collect(
    of strays: [ReferenceNames], _ netfilter: inout NetfilterSocket,
    isPort: (String) throws(NetlinkError) -> Bool
  ) throws(NetlinkError) {
    var unwanted: [String] = []
    for chain in strays.map({ $0.guardChain }) where !unwanted.contains(chain) { unwanted.append(chain) }
    try remove(&netfilter) { rules throws(NetlinkError) in
      var chains = unwanted
      for rule in rules {
        guard let target = rule.target, target.hasPrefix(ReferenceNames.guardPrefix), !chains.contains(target),
          let port = rule.operands.first.map({ String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }), !port.isEmpty
        else { continue }
        // The rule was made when the port was there, so the port was removed since.
        if try !isPort(port) { chains.append(target) }
      }
      return chains
    }
  }

  /// Removes the chains that `choose` selects by the rules of all ports, and the rules that lead to them.
  private static func remove(
    _ netfilter: inout NetfilterSocket, _ choose: ([NetfilterRule]) throws(NetlinkError) -> [String]
  ) throws(NetlinkError) {
    try netfilter.removeAll { netfilter throws(NetlinkError) in
      let rules = try netfilter.rules(of: start)
      let unwanted = try choose(rules)
      // The first chain refers to the second, which is therefore removed last.
      let chains = unwanted.flatMap { [$0, "\($0)-mac"] }.map { ChainName($0, in: table) }
      let found = try netfilter.contains(chains)
      return rules.filter { $0.target.map(unwanted.contains) ?? false }.map { .removeRule($0) }
        + zip(chains, found).filter { $0.1 }.map { .removeChain($0.0) }
    }
  }
}
