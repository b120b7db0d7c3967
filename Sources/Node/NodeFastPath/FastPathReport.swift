/// One thing that was done to the fast path, for the log.
package struct FastPathChange: Sendable, Equatable {
  package enum Verb: String, Sendable {
    case loaded = "fast path loaded"
    case removed = "fast path removed"
    case attached = "program attached"
    case detached = "program detached"
    case peerSet = "peer set"
    case peerRemoved = "peer removed"
    case podSet = "pod set"
    case podRemoved = "pod removed"
  }

  package let verb: Verb
  /// The link, subnet or address.
  package let subject: String
}

/// What a look at the fast path found and did.
package struct FastPathReport: Sendable, Equatable {
  package enum State: Sendable, Equatable {
    case off
    /// - Parameter reason: why flows are not known in a better way.
    case on(FlowKnowledge, reason: String?)
    case unavailable(String)
  }

  package internal(set) var state = State.off
  package internal(set) var changes: [FastPathChange] = []
  /// What keeps packets from the fast path that could be there; where there is none, why what is left of it stays.
  package internal(set) var problems: [String] = []
  /// Other nodes' subnets that it leads to, and this node's addresses that use it.
  package internal(set) var peerCount = 0
  package internal(set) var podCount = 0
  /// Pods with a bandwidth limit, or a filter that would be passed by, which don't.
  package internal(set) var limitedPods = 0
  /// Where programs are: the links' names of the node, and the pods.
  package internal(set) var places: Set<String> = []
  /// How long until a pod may be given its place; `nil` where none waits for it.
  package internal(set) var wait: Duration?

  /// How many programs were put back since the report before: what is new on the node is no repair.
  package func repairs(since previous: FastPathReport) -> Int {
    guard previous.state == state else { return 0 }
    return changes.count { change in
      switch change.verb {
      case .loaded: true
      case .attached: previous.places.contains(change.subject)
      default: false
      }
    }
  }

  package var isOn: Bool { if case .on = state { true } else { false } }

  /// Whether programs or pins stay that should be gone: nobody looks after them.
  package var leavesBehind: Bool { !isOn && !problems.isEmpty }

  /// Why there is none although it is wanted.
  package var unavailability: String? {
    if case .unavailable(let reason) = state { reason } else { nil }
  }
}
