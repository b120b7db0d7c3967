internal import Parts

extension Finding {
  /// A chain of another program drops pods' packets.
  static func forwardDrop(_ words: String) -> Finding {
    Finding(
      "CW-FWD-01", .fault, words,
      remedy: "Accept the cluster's networks in that chain, or start the agent with --forward-insert.",
      breaksNetwork: true)
  }

  /// The kernel or libnftables has refused rules.
  static func rulesRefused(_ words: String) -> Finding {
    Finding(
      "CW-FWD-02", .fault, words,
      remedy: "Check that the kernel has nf_tables and that the agent has CAP_NET_ADMIN.", breaksNetwork: true)
  }

  /// Flannel's rules are still there.
  static func flannelRulesLeft(_ words: String) -> Finding {
    Finding("CW-FWD-03", .warning, words, remedy: "Start the agent with --take-over-flannel.")
  }

  /// Flannel's rules cannot be removed, because nothing replaces them.
  static func flannelRulesStay(_ words: String, option: String) -> Finding {
    Finding("CW-FWD-04", .warning, words, remedy: "Start the agent with \(option).")
  }

  /// A table of the older packet filter may hold rules that matter.
  static func legacyTable(_ words: String) -> Finding {
    Finding(
      "CW-FWD-05", .warning, words, remedy: "Look into the table with the command, or move its rules to nf_tables.")
  }

  /// No pass of this agent has installed the rules yet.
  static func rulesNotIn(_ reasons: [String]) -> Finding {
    Finding(
      "CW-FWD-06", .waiting, "the rules are not in: " + reasons.joined(separator: "; "),
      remedy: "Correct what the other findings about rules name.", keepsPodsFromBeingServed: true, breaksNetwork: true)
  }
}
