package import Addresses
package import Netfilter
package import Netlink

/// Masquerade chains that the reference plugins made with the program `iptables` where it works on nf_tables. In `ip nat`
/// and `ip6 nat` each container has a chain, and each address a rule that leads to it.
package enum ReferenceChains {
  private static func table(_ family: IPFamily) -> TableName {
    switch family {
    case .v4: TableName(.ip, "nat")
    case .v6: TableName(.ip6, "nat")
    }
  }

  /// The container's chain; without it there is nothing to remove.
  package static func chain(_ names: ReferenceNames, _ family: IPFamily) -> ChainName {
    ChainName(names.chain, in: table(family))
  }

  /// Removes the rules that lead to the container's chain, and the chain; absence is success.
  ///
  /// - Parameter isOthers: whether the address is another interface's of the container; its rule and the chain then stay.
  package static func remove(
    _ names: ReferenceNames, _ family: IPFamily, _ netfilter: inout NetfilterSocket,
    isOthers: (IPAddress) -> Bool
  ) throws(NetlinkError) {
    let chain = chain(names, family)
    try netfilter.removeAll { netfilter throws(NetlinkError) in
      let leading = try netfilter.rules(of: start(family)).filter { $0.target == chain.name }
      let unwanted = leading.filter { rule in
        !rule.operands.contains { IPAddress(bytes: $0).map(isOthers) ?? false }
      }
      let isUsed = unwanted.count < leading.count
      let hasChain = try netfilter.contains([chain]) == [true]
      return unwanted.map { .removeRule($0) } + (hasChain && !isUsed ? [.removeChain(chain)] : [])
    }
  }

  /// Removes the chains of the network's containers that are not among `valid`, and the rules that lead to them.
  package static func collect(
    network: String, keeping valid: [ReferenceNames], _ family: IPFamily, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    let kept = valid.map { $0.chain }
    try netfilter.removeAll { netfilter throws(NetlinkError) in
      let leading = try netfilter.rules(of: start(family)).filter { rule in
        guard let id = ReferenceNames.containerID(inComment: rule.comment, of: network) else { return false }
        let chain = ReferenceNames.chain(network: network, containerID: id)
        return rule.target == chain && !kept.contains(chain)
      }
      var chains: [ChainName] = []
      for name in leading.compactMap({ $0.target }) {
        let chain = ChainName(name, in: table(family))
        if !chains.contains(chain) { chains.append(chain) }
      }
      return leading.map { .removeRule($0) } + chains.map { .removeChain($0) }
    }
  }

  private static func start(_ family: IPFamily) -> ChainName { ChainName("POSTROUTING", in: table(family)) }
}
