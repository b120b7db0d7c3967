/// Exponential back-off: each pause is twice the one before, from `shortest` to `longest`.
package struct BackOff: Sendable {
  private let shortest: Duration
  private let longest: Duration
  private let hasJitter: Bool
  private var pause: Duration

  /// - Parameter hasJitter: whether each pause is shortened at random by up to a half, so that agents that lose one
  ///   store do not reconnect in step.
  package init(
    shortest: Duration = .milliseconds(100), longest: Duration = .seconds(5), hasJitter: Bool = true
  ) {
    self.shortest = shortest
    self.longest = longest
    self.hasJitter = hasJitter
    pause = shortest
  }

  /// Returns how long to wait now; the next pause is twice as long.
  package mutating func next() -> Duration {
    defer { pause = min(pause * 2, longest) }
    return hasJitter ? pause * Double.random(in: 0.5...1) : pause
  }

  /// Begins with the shortest pause again.
  package mutating func reset() { pause = shortest }
}
