/// One thing that was done to the node's rules, for the log.
package struct RuleChange: Sendable, Equatable {
  package enum Verb: String, Sendable {
    case made = "table made"
    /// It was there, but another one: of other options or of another version of the helper.
    case replaced = "table replaced"
    /// Somebody had changed or removed it.
    case repaired = "table repaired"
    case nodesChanged = "nodes' addresses updated"
    case removed = "table removed"
    case acceptInserted = "accept inserted"
    case acceptRemoved = "accept removed"
    case takenOver = "flannel's rules removed"
  }

  package let verb: Verb
  /// The table or chain, in the words of `nft`.
  package let subject: String
}

/// What a look at the node's rules found and did.
package struct RulesReport: Sendable, Equatable {
  /// How the helper's table is.
  package enum Table: String, Sendable {
    case installed
    case missing
    /// It differs from what it must be.
    case changed
    /// The node needs none.
    case off
    /// That can't be told: for want of the right to look, or of nf_tables.
    case unknown
  }

  package internal(set) var table = Table.unknown
  package internal(set) var changes: [RuleChange] = []
  /// What keeps packets from where they must go.
  package internal(set) var problems: [String] = []
  /// What may do so, and what is left to do.
  package internal(set) var warnings: [String] = []
  /// Whether all that was to be done could be.
  package internal(set) var hasFailed = false
  /// Whether that was for want of CAP_NET_ADMIN.
  package internal(set) var mayNotLook = false
}
