internal import Addresses
internal import Attachments
internal import Netfilter
internal import Netlink

extension PodRule {
  /// Masquerade of pods that leave the node under the node's address: the plugin's table `inet causeway_pods`.
  ///
  /// A map leads from a pod's address to a chain of its network. Packets to multicast groups and to the networks that
  /// the pod reaches under its own address is not masqueraded.
  static let masquerade = PodRule(
    table: Masquerade.table, sets: IPFamily.allCases.map { Masquerade.map($0) }, baseChains: [Masquerade.base],
    isPerAddress: true, isMade: { $0.masquerades },
    effect: { pod in "masquerades \(pod.addresses.first.map { "\($0)" } ?? "")" },
    elements: { pod in
      let chain = Masquerade.chain(pod)
      return pod.addresses.map { PodElement(key: $0.bytes, set: Masquerade.map($0.family), jump: chain) }
    },
    networkChain: { pod in Masquerade.networkChain(pod) },
    newTable: { Masquerade.newTable })
}

private enum Masquerade {
  static let table = TableName(.inet, "causeway_pods")
  static let base = ChainName("postrouting", in: table)

  static func map(_ family: IPFamily) -> SetName {
    switch family {
    case .v4: SetName("masquerade4", in: table)
    case .v6: SetName("masquerade6", in: table)
    }
  }

  /// The table with its maps and the rules that use them.
  static var newTable: [NetlinkRequest] {
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

  /// The chain of a pod's network and exceptions, named by a hash of them.
  static func chain(_ pod: RuledPod) -> ChainName {
    let content = pod.unmasqueradedNetworks.map { $0.description }.joined(separator: ",")
    return ChainName("\(pod.network)-\(String(stableHash(content.utf8), radix: 16))", in: table)
  }

  /// Requests for the chain: the exceptions, then the rule.
  static func networkChain(_ pod: RuledPod) -> [NetlinkRequest] {
    let chain = chain(pod)
    let multicast = ["224.0.0.0/4", "ff00::/8"].compactMap { IPPrefix($0) }
    return [.addChain(chain)]
      + (multicast + pod.unmasqueradedNetworks).map {
        .addRule(RuleExpression.isDestined(to: $0) + [.goBack], to: chain)
      }
      + [.addRule([.masquerade], to: chain)]
  }
}
