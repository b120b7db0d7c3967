package import Parts

/// One thing that was done to the node's rules.
package struct RuleChange: Sendable, Equatable {
  /// Action on the node's rules, in the words of the log.
  package enum Verb: String, Sendable {
    case made = "table made"
    /// The table was another one: of other options or of another version of the helper.
    case replaced = "table replaced"
    /// Another program had changed or removed the table.
    case repaired = "table repaired"
    case nodesChanged = "nodes' addresses updated"
    case removed = "table removed"
    case acceptInserted = "accept inserted"
    case acceptRemoved = "accept removed"
    case takenOver = "flannel's rules removed"
  }

  /// Action that was done.
  package let verb: Verb
  /// The table or chain, in the words of `nft`.
  package let subject: String

  var change: Change { Change(verb.rawValue, [.init(.rules, subject)]) }
}

/// Result of a pass over the node's rules: its findings and its actions.
package struct RulesReport: Sendable, Equatable {
  /// The state of the helper's table.
  package enum Table: String, Sendable {
    case installed
    case missing
    /// Present, and different from what the options ask for.
    case changed
    /// Not wanted.
    case off
    /// Not readable, for lack of CAP_NET_ADMIN or of nf_tables.
    case unknown
  }

  /// State of the helper's table after the pass.
  package internal(set) var table = Table.unknown
  /// Changes that the pass made, in order.
  package internal(set) var changes: [RuleChange] = []
  /// Findings of the pass.
  package internal(set) var findings: [Finding] = []
  /// Whether a step failed.
  package internal(set) var hasFailed = false
  /// Whether the failed step lacked CAP_NET_ADMIN.
  package internal(set) var mayNotLook = false
  /// Whether a pass of this agent has installed all rules at least once.
  package internal(set) var haveBeenIn = false
  /// Whether this is the agent's first pass.
  var isFirst = true

  /// Faults that stop packets of pods.
  package var problems: [String] { findings.faults }
  /// Warnings: things that may stop packets of pods, and work that is left to do.
  package var warnings: [String] { findings.warnings }
}

extension RulesReport: PartReport {
  package var actions: [Change] { changes.map(\.change) }

  /// Accepts that are inserted in a later pass were removed by another program, or the chain is a new one.
  package var repairs: [Change] {
    changes.filter { $0.verb == .repaired || (!isFirst && $0.verb == .acceptInserted) }.map(\.change)
  }
}
