/// What ports connections get that are masqueraded (`--ip-masq-ports`).
package enum MasqueradePorts: String, Sendable, CaseIterable {
  /// The pod's own, or where that is taken another one near it.
  case none
  /// A random one where the pod's own is taken.
  case random
  /// A random one always: two connections that begin at once don't get in each other's way.
  case fullyRandom = "fully-random"
}

/// What of its rules a node is to have.
package struct RuleSwitches: Sendable, Equatable {
  /// How what leaves the cluster is masqueraded; `nil` where it is not.
  package var masquerade: MasqueradePorts?
  /// Whether pods' packets are to be forwarded, and chains of others that drop them are told of.
  package var forwards: Bool
  /// Whether those chains get an accept.
  package var insertsAccept: Bool
  /// Whether what flannel left on this node is replaced.
  package var takesOverFlannel: Bool

  /// Whether conntrack is to see all packets, also where no other rule asks for it.
  package var tracks: Bool

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
