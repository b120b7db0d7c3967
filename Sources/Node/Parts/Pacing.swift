/// Pauses between the passes of a part.
package struct Pacing: Sendable {
  /// The pauses around the passes of one kind of reason.
  package struct Rhythm: Sendable {
    /// Time to wait for the rest of a burst of triggers, so that one pass sees all of it.
    package let burst: Duration
    /// The pause between the end of a pass and the next one for the same reason.
    package let rest: @Sendable (_ pass: Pass) -> Duration

    package init(burst: Duration = .zero, rest: @escaping @Sendable (_ pass: Pass) -> Duration = { _ in .zero }) {
      self.burst = burst
      self.rest = rest
    }
  }

  /// A pass that has ended.
  package struct Pass: Sendable {
    /// Time that the pass took.
    package let duration: Duration
    /// Whether the pass changed anything.
    package let hasChanges: Bool

    package init(duration: Duration, hasChanges: Bool) {
      self.duration = duration
      self.hasChanges = hasChanges
    }
  }

  /// Passes for changed nodes only.
  package let nodes: Rhythm
  /// All other passes.
  package let others: Rhythm
  /// The time between periodic passes. The watchdog reports a pass that has not ended for three of them.
  package let interval: Duration
  /// Whether there are periodic passes.
  package let isPeriodic: Bool
  /// Whether periodic passes are up to a fifth of the interval early, so that nodes do not make them in step.
  package let hasJitter: Bool
  /// Whether new triggers after a failure wait for the end of its pause.
  package let holdsBack: Bool

  package init(
    nodes: Rhythm = Rhythm(), others: Rhythm = Rhythm(), interval: Duration = .seconds(30), isPeriodic: Bool = true,
    hasJitter: Bool = false, holdsBack: Bool = false
  ) {
    self.nodes = nodes
    self.others = others
    self.interval = interval
    self.isPeriodic = isPeriodic
    self.hasJitter = hasJitter
    self.holdsBack = holdsBack
  }
}
