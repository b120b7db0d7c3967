internal import Addresses
internal import Glibc
internal import Linux
package import Netfilter
internal import Netlink

/// The helper's table in the kernel, and the mark that shows whether the table was changed.
package struct NodeTable: Sendable {
  /// The table's name.
  package static let name = TableName(.inet, "causeway")
  /// Directory of the mark.
  let stateDirectory: String

  /// Number of addresses that are changed one by one; for more the whole table is replaced.
  private static let longestUpdate = 64
  /// Number of times that a transaction is tried that collides with another process's.
  private static let attempts = 5

  /// The table in the kernel compared with the wanted one.
  enum Finding: Equatable {
    case asWanted
    /// Only the nodes' addresses differ: some are missing, others are left over.
    case otherNodes(missing: [IPAddress], left: [IPAddress])
    /// The wanted table was installed, and something else has changed or removed it.
    case damaged(isThere: Bool)
    /// The table was installed with other options or by another version.
    case other
    case absent
  }

  /// Compares the table in the kernel with the wanted one.
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

  /// Makes the table the wanted one.
  ///
  /// - Returns: what was done; `nil` if nothing was to be done.
  func ensure(_ wanted: Ruleset, _ netfilter: inout NetfilterSocket) throws(RulesError) -> RuleChange.Verb? {
    guard !wanted.isEmpty else { return try remove(&netfilter) ? .removed : nil }
    switch try find(wanted, &netfilter) {
    case .asWanted: return nil
    case .otherNodes(let missing, let left) where missing.count + left.count <= NodeTable.longestUpdate:
      let requests =
        left.map { NetlinkRequest.removeElement($0.bytes, from: NodeTable.nodes($0.family)) }
        + missing.map { NetlinkRequest.addElement($0.bytes, to: NodeTable.nodes($0.family)) }
      try netfilter.asking { (socket) throws(NetlinkError) in _ = try socket.commit(requests) }
      return .nodesChanged
    case .otherNodes: return try put(wanted, &netfilter, as: .nodesChanged)
    case .damaged: return try put(wanted, &netfilter, as: .repaired)
    case .other: return try put(wanted, &netfilter, as: .replaced)
    case .absent: return try put(wanted, &netfilter, as: .made)
    }
  }

  /// Replaces the whole table in one transaction, and stores the mark.
  private func put(
    _ wanted: Ruleset, _ netfilter: inout NetfilterSocket, as verb: RuleChange.Verb
  ) throws(RulesError) -> RuleChange.Verb {
    let known = try RulesetMark.read(stateDirectory).flatMap { $0.isOf(wanted) ? $0 : nil }
    // Another process may change the table before its structure is read. The mark of an earlier time shows that.
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

  /// Applies a ruleset. The kernel refuses it if another transaction was committed since libnftables read the ruleset
  /// generation, which happens when pods are added.
  private func apply(_ text: String) throws(RulesError) {
    for _ in 1..<NodeTable.attempts {
      do throws(RulesError) { return try Nftables.apply(text) } catch { MonotonicTime.sleep(.milliseconds(1)) }
    }
    try Nftables.apply(text)
  }

  /// Removes the table and the mark.
  ///
  /// - Returns: whether there was a table.
  func remove(_ netfilter: inout NetfilterSocket) throws(RulesError) -> Bool {
    let wasThere = try netfilter.asking { (socket) throws(NetlinkError) in
      try socket.commit([.removeTable(NodeTable.name)], accepting: ENOENT)
    }
    try RulesetMark.remove(stateDirectory)
    return wasThere
  }
}

extension NetfilterSocket {
  /// Calls `body` and turns its errors into `RulesError`.
  mutating func asking<Value>(
    _ body: (inout NetfilterSocket) throws(NetlinkError) -> Value
  ) throws(RulesError) -> Value {
    do throws(NetlinkError) { return try body(&self) } catch { throw .netlink(error) }
  }
}
