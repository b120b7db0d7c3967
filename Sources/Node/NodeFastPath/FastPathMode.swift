/// Whether the node should have the fast path (`--fast-path`).
package enum FastPathMode: String, Sendable, CaseIterable {
  /// No fast path; programs and maps that are there are removed.
  case off
  /// Use it if the kernel can; else all packets use the ordinary path.
  case auto
  /// Use it, and fail if the kernel cannot.
  case on
}

/// Ways in which the programs know that a flow is established and not translated (`--fast-path-flows`), best first.
package enum FlowKnowledge: String, Sendable, CaseIterable {
  /// The programs look TCP and UDP flows up in conntrack (Linux 5.18 with BTF), and treat ICMP echo as `sight` does.
  case conntrack
  /// Both directions seen: the ordinary path has let packets of the flow through unchanged in both directions.
  case sight
}
