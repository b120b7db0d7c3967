internal import Addresses
internal import Attachments
internal import Netfilter
internal import Netlink

extension PodRule {
  /// Addresses that a routed pod may send from: the plugin's table `inet causeway_routed`.
  ///
  /// The rule is the reverse-path check of the node's routes. The sysctl `rp_filter` knows IPv4 only, and the program that
  /// manages the node's links (systemd-udevd) sets it. Link-local IPv6 addresses pass too: they leave no link.
  static let sourceGuard = PodRule(
    table: SourceGuard.table, links: SourceGuard.links, sets: IPFamily.allCases.map { SourceGuard.sources($0) },
    baseChains: [SourceGuard.base], isPerAddress: true, isMade: { $0.isRouted },
    effect: { pod in "holds \(pod.link) to \(pod.addresses.first.map { "\($0)" } ?? "")" },
    elements: { pod in
      let link = SetKey.bytes(ofLink: pod.link)
      return pod.addresses.map { PodElement(key: link + $0.bytes, set: SourceGuard.sources($0.family)) }
    },
    newTable: { SourceGuard.newTable })
}

private enum SourceGuard {
  static let table = TableName(.inet, "causeway_routed")
  static let links = SetName("links", in: table)
  static let base = ChainName("prerouting", in: table)

  static func sources(_ family: IPFamily) -> SetName {
    switch family {
    case .v4: SetName("sources4", in: table)
    case .v6: SetName("sources6", in: table)
    }
  }

  static var newTable: [NetlinkRequest] {
    let linkLocal = IPPrefix("fe80::/10").map {
      NetlinkRequest.addRule(RuleExpression.family(.v6) + RuleExpression.source(isIn: $0) + [.accept], to: base)
    }
    return [
      .addTable(table),
      .addSet(links, key: .linkName, id: 1),
      .addSet(sources(.v4), key: .linkName(and: .v4), id: 2),
      .addSet(sources(.v6), key: .linkName(and: .v6), id: 3),
      .addChain(base, hook: .prerouting),
    ] + (linkLocal.map { [$0] } ?? [])
      + IPFamily.allCases.map { family in
        .addRule(
          RuleExpression.inputLink(isIn: links)
            + RuleExpression.inputLinkAndSource(family, areNotIn: sources(family)) + [.drop],
          to: base)
      }
  }
}
