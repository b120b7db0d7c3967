/// Something that a part has found wrong, or that pods wait for.
package struct Finding: Sendable, Hashable {
  /// Severity of a finding.
  package enum Severity: String, Sendable {
    /// Something does not work.
    case fault
    /// Something may not work, or is left to do.
    case warning
    /// Pods cannot be served yet. Readiness reports it; the log does not.
    case waiting
  }

  /// Stable once released: `CW-`, an area, and a number (`CW-FWD-01`).
  package let id: String
  /// Severity, which decides where the finding is shown.
  package let severity: Severity
  /// Text of the fault, for people.
  package let words: String
  /// Remedy that an operator can apply.
  package let remedy: String
  /// The node, subnet or link that it is about; empty for the node itself.
  package let subject: [Change.Field]
  /// Whether the node is not ready while this holds.
  package let keepsPodsFromBeingServed: Bool
  /// Whether the store is informed that the node has no network, if it records such a state.
  package let breaksNetwork: Bool

  package init(
    _ id: String, _ severity: Severity, _ words: String, remedy: String, subject: [Change.Field] = [],
    keepsPodsFromBeingServed: Bool = false, breaksNetwork: Bool = false
  ) {
    self.id = id
    self.severity = severity
    self.words = words
    self.remedy = remedy
    self.subject = subject
    self.keepsPodsFromBeingServed = keepsPodsFromBeingServed
    self.breaksNetwork = breaksNetwork
  }
}

extension [Finding] {
  /// The words of the node's own faults. What only readiness reports is not among them.
  package var faults: [String] {
    filter { $0.severity == .fault && $0.subject.isEmpty && !$0.keepsPodsFromBeingServed }.map(\.words)
  }

  /// The words of the node's own warnings.
  package var warnings: [String] { filter { $0.severity == .warning && $0.subject.isEmpty }.map(\.words) }
}
