/// Source ports of masqueraded connections (`--ip-masq-ports`).
package enum MasqueradePorts: String, Sendable, CaseIterable {
  /// The pod's own port; if that is taken, another one near it.
  case none
  /// The pod's own port; if that is taken, a random one.
  case random
  /// Always a random port, so that connections that begin at the same time do not collide.
  case fullyRandom = "fully-random"
}

/// Options for the node's rules.
package struct RuleSwitches: Sendable, Equatable {
  /// Source ports of masqueraded packets that leave the cluster; `nil` for no masquerade.
  package var masquerade: MasqueradePorts?
  /// Whether to accept forwarded packets of pods, and to report foreign chains that drop them.
  package var forwards: Bool
  /// Whether to insert accepts into these chains.
  package var insertsAccept: Bool
  /// Whether to remove what flannel left on this node, once our rules replace it.
  package var takesOverFlannel: Bool
  /// Whether to make conntrack see all packets, even if no other rule needs that. The fast path needs it.
  package var tracks: Bool

  /// Creates a choice of rules; by default only forwarding.
  package init(
    masquerade: MasqueradePorts? = nil, forwards: Bool = true, insertsAccept: Bool = false,
    takesOverFlannel: Bool = false, tracks: Bool = false
  ) {
    self.masquerade = masquerade
    self.forwards = forwards
    self.insertsAccept = insertsAccept
    self.takesOverFlannel = takesOverFlannel
    self.tracks = tracks
  }
}
