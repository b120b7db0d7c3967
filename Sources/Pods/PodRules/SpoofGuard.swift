package import Addresses
internal import Glibc
package import Netfilter
package import Netlink

/// Which MAC a pod may send from (`macspoofchk`): the plugin's table `bridge causeway`.
///
/// One set holds the ports that are watched, another the pairs of port and MAC that pass; each element carries its owner
/// as a comment. Nothing is looked up but by key, and no other program is run.
package enum SpoofGuard {
  private static let table = TableName(.bridge, "causeway")
  private static let ports = SetName("ports", in: table)
  private static let senders = SetName("senders", in: table)
  private static let base = ChainName("prerouting", in: table)

  /// Lets the port's pod send from this MAC only.
  package static func add(
    port: String, mac: MACAddress, owner: String, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    let elements: [NetlinkRequest] = [
      .addElement(SetKey.bytes(ofLink: port), to: ports, comment: owner),
      .addElement(SetKey.bytes(ofLink: port) + mac.bytes + [0, 0], to: senders, comment: owner),
    ]
    do throws(NetlinkError) {
      try netfilter.commit(elements)
    } catch {
      switch error.errno {
      case ENOENT: try netfilter.commit(newTable, accepting: EEXIST)
      // The port had an earlier pod, whose elements stayed.
      case EEXIST: try remove(port: port, &netfilter)
      default: throw error
      }
      try netfilter.commit(elements)
    }
  }

  /// Removes the elements of the port with this owner, of this MAC where it is known; absence is success.
  package static func remove(
    port: String, mac: MACAddress? = nil, owner: String? = nil, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    let port = SetKey.bytes(ofLink: port)
    func isWanted(_ comment: String?) -> Bool { comment != nil && (owner == nil || comment == owner) }
    var wasWatched = false
    try netfilter.removeAll { netfilter throws(NetlinkError) in
      var removals: [NetlinkRequest] = []
      if isWanted(try netfilter.comment(of: port, in: ports)) {
        wasWatched = true
        removals.append(.removeElement(port, from: ports))
      }
      // Most ports are not watched, and a list of all senders is long.
      guard wasWatched else { return [] }
      if let mac, isWanted(try netfilter.comment(of: port + mac.bytes + [0, 0], in: senders)) {
        removals.append(.removeElement(port + mac.bytes + [0, 0], from: senders))
      } else {
        removals += try netfilter.elements(of: senders)
          .filter { $0.key.starts(with: port) && isWanted($0.comment) }
          .map { .removeElement($0.key, from: senders) }
      }
      return removals
    }
  }

  /// Removes every element whose owner is in the network (as `isInNetwork` tells) and not among `valid`.
  package static func collect(
    keeping valid: Set<String>, _ netfilter: inout NetfilterSocket, isInNetwork: (String) -> Bool
  ) throws(NetlinkError) {
    try netfilter.removeStrays(from: [ports, senders], keeping: valid, isInNetwork: isInNetwork)
  }

  /// Removes the table with all ports; absence is success.
  package static func removeTable(_ netfilter: inout NetfilterSocket) throws(NetlinkError) {
    try netfilter.commit([.removeTable(table)], accepting: ENOENT)
  }

  /// Whether the port's pod is held to this MAC.
  package static func holds(
    port: String, mac: MACAddress, owner: String, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) -> Bool {
    let port = SetKey.bytes(ofLink: port)
    let watched = try netfilter.comment(of: port, in: ports)
    let passing = try netfilter.comment(of: port + mac.bytes + [0, 0], in: senders)
    return watched == owner && passing == owner
  }

  private static var newTable: [NetlinkRequest] {
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
