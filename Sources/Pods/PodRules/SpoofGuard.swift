internal import Addresses
internal import Attachments
internal import Netfilter
internal import Netlink

extension PodRule {
  /// MAC that a pod may send from (`macspoofchk`): the plugin's table `bridge causeway`.
  ///
  /// One set holds the bridge's ports that are guarded, another the pairs of port and MAC that pass.
  static let spoofGuard = PodRule(
    table: SpoofGuard.table, links: SpoofGuard.ports, sets: [SpoofGuard.senders], baseChains: [SpoofGuard.base],
    isPerAddress: false, isMade: { $0.checksMAC },
    effect: { pod in "holds \(pod.link) to the MAC \(pod.mac.map { "\($0)" } ?? "")" },
    elements: { pod in
      guard let mac = pod.mac else { return [] }
      return [PodElement(key: SetKey.bytes(ofLink: pod.link) + mac.bytes + [0, 0], set: SpoofGuard.senders)]
    },
    newTable: { SpoofGuard.newTable })
}

private enum SpoofGuard {
  static let table = TableName(.bridge, "causeway")
  static let ports = SetName("ports", in: table)
  static let senders = SetName("senders", in: table)
  static let base = ChainName("prerouting", in: table)

  static var newTable: [NetlinkRequest] {
    [
      .addTable(table),
      .addSet(ports, key: .linkName, id: 1),
      .addSet(senders, key: .linkNameAndMAC, id: 2),
      .addChain(base, hook: .prerouting),
      .addRule(
        RuleExpression.inputLink(isIn: ports) + RuleExpression.inputLinkAndSourceMAC(areNotIn: senders) + [.drop],
        to: base),
    ]
  }
}
