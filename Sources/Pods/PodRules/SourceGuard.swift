package import Addresses
internal import Glibc
package import Netfilter
package import Netlink

/// Which addresses a routed pod may send from: the plugin's table `inet causeway_routed`.
///
/// The reverse-path check of the node's routes, one set element for each pod and address: the sysctl `rp_filter` knows IPv4
/// only, and whoever manages the node's links (systemd-udevd) sets it as he likes. Each element carries its owner as a
/// comment. Only links that are in the first set are looked at.
package enum SourceGuard {
  private static let table = TableName(.inet, "causeway_routed")
  private static let links = SetName("links", in: table)
  private static let base = ChainName("prerouting", in: table)

  private static func sources(_ family: IPFamily) -> SetName {
    switch family {
    case .v4: SetName("sources4", in: table)
    case .v6: SetName("sources6", in: table)
    }
  }

  /// Lets the pod behind the link send from these addresses only, and from link-local ones of IPv6, which leave no link.
  package static func add(
    link: String, _ addresses: [IPAddress], owner: String, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    let key = SetKey.bytes(ofLink: link)
    let elements =
      [NetlinkRequest.addElement(key, to: links, comment: owner)]
      + addresses.map { .addElement(key + $0.bytes, to: sources($0.family), comment: owner) }
    do throws(NetlinkError) {
      try netfilter.commit(elements)
    } catch {
      switch error.errno {
      case ENOENT: try netfilter.commit(newTable, accepting: EEXIST)
      // The link had an earlier pod, whose elements stayed.
      case EEXIST: try remove(link: link, nil, &netfilter)
      default: throw error
      }
      try netfilter.commit(elements)
    }
  }

  /// Removes the elements of the link with this owner, of these addresses or of all; absence is success.
  package static func remove(
    link: String, _ addresses: [IPAddress]? = nil, owner: String? = nil, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    let key = SetKey.bytes(ofLink: link)
    func isWanted(_ comment: String?) -> Bool { comment != nil && (owner == nil || comment == owner) }
    try netfilter.removeAll { netfilter throws(NetlinkError) in
      var removals: [NetlinkRequest] = []
      if isWanted(try netfilter.comment(of: key, in: links)) { removals.append(.removeElement(key, from: links)) }
      for address in addresses ?? [] {
        let (element, set) = (key + address.bytes, sources(address.family))
        if isWanted(try netfilter.comment(of: element, in: set)) { removals.append(.removeElement(element, from: set)) }
      }
      // A list of all sources is long.
      for set in addresses == nil ? IPFamily.allCases.map(sources) : [] {
        removals += try netfilter.elements(of: set)
          .filter { $0.key.starts(with: key) && isWanted($0.comment) }
          .map { .removeElement($0.key, from: set) }
      }
      return removals
    }
  }

  /// Removes every element whose owner is in the network (as `isInNetwork` tells) and not among `valid`.
  package static func collect(
    keeping valid: Set<String>, _ netfilter: inout NetfilterSocket, isInNetwork: (String) -> Bool
  ) throws(NetlinkError) {
    try netfilter.removeStrays(from: [links, sources(.v4), sources(.v6)], keeping: valid, isInNetwork: isInNetwork)
  }

  /// Removes the table with all pods; absence is success.
  package static func removeTable(_ netfilter: inout NetfilterSocket) throws(NetlinkError) {
    try netfilter.commit([.removeTable(table)], accepting: ENOENT)
  }

  /// Whether the link's pod is held to its addresses, this one among them.
  package static func holds(
    link: String, _ address: IPAddress, owner: String, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) -> Bool {
    let key = SetKey.bytes(ofLink: link)
    let watched = try netfilter.comment(of: key, in: links)
    let passing = try netfilter.comment(of: key + address.bytes, in: sources(address.family))
    return watched == owner && passing == owner
  }

  private static var newTable: [NetlinkRequest] {
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
