internal import Linux
internal import Parts

/// Time of a part's next pass, by its pacing.
struct PassSchedule {
  private let pacing: Pacing
  /// The triggers that no pass has served.
  private var pending: Set<Trigger> = [.time]
  /// The triggers of the pass under way.
  private var current: Set<Trigger> = []
  private var nodesNotBefore = Duration.zero
  private var othersNotBefore = Duration.zero
  /// The end of the pause after a failure.
  private var heldUntil = Duration.zero
  /// Time at which a pass is due without a trigger.
  private var periodicAt: Duration?
  private var backOff = BackOff(shortest: .milliseconds(500), longest: .seconds(30), hasJitter: false)

  init(_ pacing: Pacing) {
    self.pacing = pacing
  }

  mutating func add(_ triggers: Set<Trigger>) {
    pending.formUnion(triggers)
    if !triggers.isEmpty && !pacing.holdsBack { heldUntil = .zero }
  }

  /// Returns how long to wait for the next pass; `nil` if there is no reason for one.
  ///
  /// - Parameter now: `MonotonicTime`, as in all functions of the schedule.
  func wait(at now: Duration) -> Duration? {
    let nodes = pending.contains(.nodes) ? nodesNotBefore : nil
    let others = hasOthers ? othersNotBefore : nil
    let triggered = [nodes, others].compactMap { $0 }.min().map { max($0, heldUntil) }
    return [triggered, periodicDue].compactMap { $0 }.min().map { max(.zero, $0 - now) }
  }

  /// Returns how long to wait for the rest of a burst, when a pass is due.
  func burst(at now: Duration) -> Duration { othersAreDue(at: now) ? pacing.others.burst : pacing.nodes.burst }

  /// Returns the triggers that a pass serves which begins now: changed nodes in any case, the others if they are due.
  mutating func begin(at now: Duration) -> Set<Trigger> {
    if isPeriodic(at: now) { pending.insert(.time) }
    current = othersAreDue(at: now) ? pending : pending.intersection([.nodes])
    pending.subtract(current)
    return current
  }

  /// The pass has ended.
  ///
  /// - Parameters:
  ///   - hasFailed: whether it must be repeated.
  ///   - waitsForTrigger: whether repeating it is of no use before a trigger, except after the interval.
  ///   - nextPass: when another one is due in any case.
  mutating func end(
    _ pass: Pacing.Pass, hasFailed: Bool = false, waitsForTrigger: Bool = false, nextPass: Duration? = nil,
    at now: Duration
  ) {
    let interval = pacing.hasJitter ? pacing.interval * Double.random(in: 0.8...1) : pacing.interval
    periodicAt = [pacing.isPeriodic ? interval : nil, nextPass].compactMap { $0 }.min().map { now + $0 }
    guard !hasFailed else {
      pending.formUnion(current)
      pending.insert(.time)
      (nodesNotBefore, othersNotBefore) = (.zero, .zero)
      heldUntil = now + (waitsForTrigger ? pacing.interval : backOff.next())
      return
    }
    backOff.reset()
    heldUntil = .zero
    nodesNotBefore = now + pacing.nodes.rest(pass)
    if current != [.nodes] { othersNotBefore = now + pacing.others.rest(pass) }
  }

  private var hasOthers: Bool { pending.contains { $0 != .nodes } }

  /// A part whose next passes follow each other closely rests between them as well.
  private var periodicDue: Duration? { periodicAt.map { max($0, othersNotBefore) } }

  private func isPeriodic(at now: Duration) -> Bool { periodicDue.map { $0 <= now } ?? false }

  private func othersAreDue(at now: Duration) -> Bool {
    isPeriodic(at: now) || (hasOthers && othersNotBefore <= now)
  }
}
