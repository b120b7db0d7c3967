/// Whether a node has the fast path (`--fast-path`).
package enum FastPathMode: String, Sendable, CaseIterable {
  /// What is there of it goes.
  case off
  /// Where the kernel has what it needs.
  case auto
  /// And nothing else will do.
  case on
}

/// How a flow is known to be established, and translated by nobody.
package enum FlowKnowledge: String, Sendable, CaseIterable {
  /// The programs ask conntrack (Linux 5.18 with BTF). Of ICMP it tells them nothing: that is known by sight.
  case conntrack
  /// The ordinary path has let it through in both directions, and as it came.
  case sight
}
