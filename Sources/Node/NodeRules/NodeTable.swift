internal import Addresses
internal import Glibc
internal import Linux
package import Netfilter
internal import Netlink

/// The helper's table in the kernel, and the mark by which a change of it is seen.
package struct NodeTable: Sendable {
  package static let name = TableName(.inet, "causeway")
  let stateDirectory: String

  /// How the table is, compared with what it must be.
  enum Finding: Equatable {
    case asWanted
    /// Only the nodes' addresses differ.
    case otherNodes(missing: [IPAddress], left: [IPAddress])
    /// It has been as it must be, and somebody has changed or removed it.
    case damaged(isThere: Bool)
    /// It is of other options or of another version.
    case other
    case absent
  }

  func find(_ wanted: Ruleset, _ netfilter: inout NetfilterSocket) throws(RulesError) -> Finding {
    let structure = try netfilter.asking { (socket) throws(NetlinkError) in try socket.structure(of: NodeTable.name) }
    let mark = try RulesetMark.read(stateDirectory)
    guard let mark, mark.isOf(wanted) else { return structure == nil ? .absent : .other }
    guard structure == mark.structure else { return .damaged(isThere: structure != nil) }
    if wanted.masquerade == nil { return .asWanted }
    var missing: [IPAddress] = []
    var left: [IPAddress] = []
    for network in wanted.networks {
      let there = Set(try addresses(network.family, &netfilter))
      let nodes = Set(wanted.nodes.filter { $0.family == network.family })
      missing += nodes.subtracting(there)
      left += there.subtracting(nodes)
    }
    return missing.isEmpty && left.isEmpty ? .asWanted : .otherNodes(missing: missing.sorted(), left: left.sorted())
  }

  private func addresses(
    _ family: IPFamily, _ netfilter: inout NetfilterSocket
  ) throws(RulesError) -> [IPAddress] {
    try netfilter.asking { (socket) throws(NetlinkError) in
      try socket.elements(of: NodeTable.nodes(family)).compactMap { IPAddress(bytes: $0.key) }
    }
  }

  private static func nodes(_ family: IPFamily) -> SetName { SetName(FamilyWords(family).nodes, in: name) }

  /// Makes the table what it must be; says what was done for that.
  func ensure(_ wanted: Ruleset, _ netfilter: inout NetfilterSocket) throws(RulesError) -> RuleChange.Verb? {
    guard !wanted.isEmpty else { return try remove(&netfilter) ? .removed : nil }
    switch try find(wanted, &netfilter) {
    case .asWanted: return nil
    case .otherNodes(let missing, let left) where missing.count + left.count <= 64:
      let requests =
        left.map { NetlinkRequest.removeElement($0.bytes, from: NodeTable.nodes($0.family)) }
        + missing.map { NetlinkRequest.addElement($0.bytes, to: NodeTable.nodes($0.family)) }
      try netfilter.asking { (socket) throws(NetlinkError) in _ = try socket.commit(requests) }
      return .nodesChanged
    case .otherNodes: return try put(wanted, &netfilter, .nodesChanged)
    case .damaged: return try put(wanted, &netfilter, .repaired)
    case .other: return try put(wanted, &netfilter, .replaced)
    case .absent: return try put(wanted, &netfilter, .made)
    }
  }

  /// Puts the whole table in the place of what is there, at once.
  private func put(
    _ wanted: Ruleset, _ netfilter: inout NetfilterSocket, _ verb: RuleChange.Verb
  ) throws(RulesError) -> RuleChange.Verb {
    let known = try RulesetMark.read(stateDirectory).flatMap { $0.isOf(wanted) ? $0 : nil }
    // Somebody may change it again before we have looked; what the table was like before says so.
    for _ in 0..<3 {
      try apply(wanted.text)
      let structure = try netfilter.asking { (socket) throws(NetlinkError) in
        try socket.structure(of: NodeTable.name)
      }
      guard let structure else { continue }
      try RulesetMark(wanted, structure: structure).store(stateDirectory)
      if known == nil || known?.structure == structure { break }
    }
    return verb
  }

  /// The kernel refuses a transaction when somebody else's has come since libnftables looked: pods may come and go.
  private func apply(_ text: String) throws(RulesError) {
    for _ in 0..<4 {
      do throws(RulesError) { return try Nftables.apply(text) } catch { MonotonicTime.sleep(.milliseconds(1)) }
    }
    try Nftables.apply(text)
  }

  /// Removes table and mark; says whether there was a table.
  func remove(_ netfilter: inout NetfilterSocket) throws(RulesError) -> Bool {
    let wasThere = try netfilter.asking { (socket) throws(NetlinkError) in
      try socket.commit([.removeTable(NodeTable.name)], accepting: ENOENT)
    }
    try RulesetMark.remove(stateDirectory)
    return wasThere
  }
}

extension NetfilterSocket {
  /// With the errors of this module.
  mutating func asking<Value>(
    _ body: (inout NetfilterSocket) throws(NetlinkError) -> Value
  ) throws(RulesError) -> Value {
    do throws(NetlinkError) { return try body(&self) } catch { throw .netlink(error) }
  }
}
