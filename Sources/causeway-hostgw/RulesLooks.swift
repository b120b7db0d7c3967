internal import Linux

/// When a pass looks at the rules too: where there is a reason to, but rules that were refused are tried again after
/// pauses that get longer, up to the 30 seconds that pass between looks anyway.
struct RulesLooks {
  /// Whether there is a reason.
  var isDue = true
  private var pause = RulesLooks.shortest
  private var notBefore = Duration.zero

  private static let shortest = Duration.milliseconds(500)
  private static let longest = Duration.seconds(30)

  var mayLook: Bool { isDue && MonotonicTime.now >= notBefore }

  /// A look is over; says after what time another is to be taken.
  mutating func end(hasFailed: Bool) -> Duration? {
    isDue = hasFailed
    guard hasFailed else {
      pause = RulesLooks.shortest
      return nil
    }
    defer { pause = min(pause * 2, RulesLooks.longest) }
    notBefore = MonotonicTime.now + pause
    return pause
  }
}
