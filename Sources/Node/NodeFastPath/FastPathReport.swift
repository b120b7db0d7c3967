package import Parts

/// One thing that was done to the fast path.
package struct FastPathChange: Sendable, Equatable {
  /// Action on the fast path, in the words of the log.
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

  /// Action that was done.
  package let verb: Verb
  /// The link, subnet or address.
  package let subject: String

  var change: Change { Change(verb.rawValue, [.init("what", subject)]) }
}

/// Result of a pass over the fast path: its findings and its actions.
package struct FastPathReport: Sendable, Equatable {
  /// State of the fast path.
  package enum State: Sendable, Equatable {
    case off
    /// - Parameter reason: why flows are not known by conntrack.
    case on(FlowKnowledge, reason: String?)
    case unavailable(String)
  }

  /// State of the fast path after the pass.
  package internal(set) var state = State.off
  /// Changes that the pass made, in order.
  package internal(set) var changes: [FastPathChange] = []
  /// Faults that keep packets from the fast path; if there is no fast path, why its leftovers stay.
  package internal(set) var problems: [String] = []
  /// The number of other nodes' subnets that it leads to.
  package internal(set) var peerCount = 0
  /// The number of this node's pod addresses that use it.
  package internal(set) var podCount = 0
  /// The number of pods that do not use it: they have a bandwidth limit, or a filter that it would bypass.
  package internal(set) var limitedPods = 0
  /// Places that have programs: the node's links by their names, and the pods.
  package internal(set) var places: Set<String> = []
  /// Pause until a pod may be given its place; `nil` if none waits for it.
  package internal(set) var wait: Duration?
  /// Number of programs that were restored since the pass before.
  package internal(set) var repairCount = 0
  /// Whether the state is another than after the pass before.
  var hasNewState = false
  /// Pause until the next pass must be made without another reason.
  package internal(set) var nextPass: Duration?

  /// Returns how many programs were restored since the report before. Programs for new links and pods do not count.
  func restoredPrograms(since previous: FastPathReport) -> Int {
    guard previous.state == state else { return 0 }
    return changes.count { change in
      switch change.verb {
      case .loaded: true
      case .attached: previous.places.contains(change.subject)
      default: false
      }
    }
  }

  /// Whether the fast path works.
  package var isOn: Bool { if case .on = state { true } else { false } }

  /// Whether programs or pins that must be removed are still there.
  package var leavesBehind: Bool { !isOn && !problems.isEmpty }

  /// Reason why there is no fast path although it is wanted.
  package var unavailability: String? {
    if case .unavailable(let reason) = state { reason } else { nil }
  }
}

extension FastPathReport: PartReport {
  package var actions: [Change] {
    guard hasNewState, case .on(let knowledge, let reason) = state else { return changes.map(\.change) }
    return [Change("fast path: flows are known by \(knowledge.rawValue)\(reason.map { ": \($0)" } ?? "")")]
      + changes.map(\.change)
  }

  package var findings: [Finding] {
    let missing = unavailability.map { reason in
      Finding(
        "CW-SYS-01", .warning, "no fast path, everything goes the ordinary way: \(reason)",
        remedy: "Give the kernel what is missing, or start the agent with --fast-path off.")
    }
    return [missing].compactMap { $0 }
      + problems.map { Finding("CW-SYS-02", .warning, $0, remedy: "See conf/docs/troubleshooting.md, fast path.") }
  }
}
