package import Addresses
internal import Glibc
package import Netfilter
package import Netlink

/// Which pods leave the node under the node's address: the plugin's own table `inet causeway_pods`.
///
/// A map leads from a pod's address to its network's chain, so an ADD or DEL is one element, whatever is there besides.
/// Each element carries its owner as a comment: an address's next owner never loses its rule to a late DEL. The table
/// is made on first use, by one transaction, and is nobody else's.
package enum Masquerade {
  private static let table = TableName(.inet, "causeway_pods")
  private static let base = ChainName("postrouting", in: table)

  private static func map(_ family: IPFamily) -> SetName {
    switch family {
    case .v4: SetName("masquerade4", in: table)
    case .v6: SetName("masquerade6", in: table)
    }
  }

  /// Masquerades what the addresses send, but to multicast groups and to the networks in `direct`.
  ///
  /// All addresses get their rule at once or none. What a former owner of an address left behind gives way.
  package static func add(
    _ addresses: [IPAddress], owner: String, network: String, direct: [IPPrefix],
    _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    let chain = chain(network, direct)
    let elements = addresses.map { address in
      NetlinkRequest.addElement(address.bytes, to: map(address.family), jump: chain, comment: owner)
    }
    // Each obstacle is cleared once; another ADD may be clearing the same.
    var stale: [NetlinkRequest] = []
    for _ in 0..<3 {
      do throws(NetlinkError) {
        try netfilter.commit(stale + elements)
        return
      } catch {
        switch error.errno {
        case ENOENT:
          stale = []
          try netfilter.commit(newTable, accepting: EEXIST)
          try netfilter.commit(newChain(chain, direct), accepting: EEXIST)
        case EEXIST:
          stale = try removals(of: addresses, &netfilter) { _ in true }
        default: throw error
        }
      }
    }
    try netfilter.commit(stale + elements)
  }

  /// Removes the rules of the addresses that are still the owner's; absence is success.
  package static func remove(
    _ addresses: [IPAddress], owner: String, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    try netfilter.removeAll { netfilter throws(NetlinkError) in
      try removals(of: addresses, &netfilter) { $0 == owner }
    }
  }

  /// Removes every rule whose owner is in the network (as `isInNetwork` tells) and not among `valid`, and chains that
  /// nothing leads to: a lease that changes leaves one behind.
  package static func collect(
    keeping valid: Set<String>, _ netfilter: inout NetfilterSocket, isInNetwork: (String) -> Bool
  ) throws(NetlinkError) {
    try netfilter.removeStrays(from: IPFamily.allCases.map(map), keeping: valid, isInNetwork: isInNetwork)
    for chain in try netfilter.chains(of: table) where chain != base {
      // EBUSY: it is in use. An ADD that has just made it makes it again.
      try netfilter.commit([.removeChain(chain)], accepting: EBUSY, ENOENT)
    }
  }

  /// Removes the table with all rules of all pods; absence is success.
  package static func removeTable(_ netfilter: inout NetfilterSocket) throws(NetlinkError) {
    try netfilter.commit([.removeTable(table)], accepting: ENOENT)
  }

  /// Whether the address is masqueraded for this owner.
  package static func holds(
    _ address: IPAddress, owner: String, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) -> Bool {
    try netfilter.comment(of: address.bytes, in: map(address.family)) == owner
  }

  private static func removals(
    of addresses: [IPAddress], _ netfilter: inout NetfilterSocket, where isWanted: (String) -> Bool
  ) throws(NetlinkError) -> [NetlinkRequest] {
    var removals: [NetlinkRequest] = []
    for address in addresses {
      let map = map(address.family)
      if let comment = try netfilter.comment(of: address.bytes, in: map), isWanted(comment) {
        removals.append(.removeElement(address.bytes, from: map))
      }
    }
    return removals
  }

  /// The table with its maps and the rules that look into them.
  private static var newTable: [NetlinkRequest] {
    [
      .addTable(table),
      .addSet(map(.v4), key: .ipv4Address, isVerdictMap: true, id: 1),
      .addSet(map(.v6), key: .ipv6Address, isVerdictMap: true, id: 2),
      .addChain(base, hook: .sourceNAT),
    ]
      + IPFamily.allCases.map { family in
        .addRule(
          RuleExpression.family(family) + [.sourceAddress(family), .verdict(from: map(family))], to: base)
      }
  }

  /// A network's chain: the exceptions, then the rule. Its name tells its content, so it never needs a change.
  private static func chain(_ network: String, _ direct: [IPPrefix]) -> ChainName {
    let content = direct.map(\.description).joined(separator: ",")
    return ChainName("\(network)-\(String(stableHash(content.utf8), radix: 16))", in: table)
  }

  private static func newChain(_ chain: ChainName, _ direct: [IPPrefix]) -> [NetlinkRequest] {
    let multicast = ["224.0.0.0/4", "ff00::/8"].compactMap { IPPrefix($0) }
    return [.addChain(chain)]
      + (multicast + direct).map { .addRule(RuleExpression.isDestined(to: $0) + [.goBack], to: chain) }
      + [.addRule([.masquerade], to: chain)]
  }
}
