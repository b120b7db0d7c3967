internal import Linux

/// When the rules are looked at: at once where somebody may have touched them; after a while where only nodes have
/// changed, which may come and go by the hundred; and rules that were refused after pauses that get longer, up to the 30
/// seconds that pass between looks anyway.
struct RulesLooks {
  private enum Reason {
    case kernel
    case nodes
  }

  private var reason: Reason? = .kernel
  private var lastLook: Duration?
  /// How long to wait after the next refusal.
  private var pause = RulesLooks.shortestPause
  private var notBefore = Duration.zero

  /// Between a look and the next one for the nodes' sake.
  static let nodesRest = Duration.milliseconds(500)
  private static let shortestPause = Duration.milliseconds(500)
  private static let longestPause = Duration.seconds(30)

  mutating func kernelMayDiffer() { reason = .kernel }

  mutating func nodesHaveChanged() { reason = reason ?? .nodes }

  /// How long to wait for the next look; `nil` where there is no reason for one.
  func wait(at now: Duration) -> Duration? {
    guard let reason else { return nil }
    let rest = reason == .nodes ? lastLook.map { $0 + RulesLooks.nodesRest } ?? .zero : .zero
    return max(.zero, max(rest, notBefore) - now)
  }

  /// A look is over.
  mutating func end(hasFailed: Bool, at now: Duration) {
    lastLook = now
    reason = hasFailed ? .kernel : nil
    guard hasFailed else {
      pause = RulesLooks.shortestPause
      return
    }
    notBefore = now + pause
    pause = min(pause * 2, RulesLooks.longestPause)
  }
}
