/// Pauses that double from 0.1 to 5 seconds, or to another limit, each shortened by chance: many agents that lose one
/// store do not come back all at once.
package struct BackOff {
  private static let shortest = Duration.milliseconds(100)
  private let longest: Duration
  private var pause = shortest

  package init(longest: Duration = .seconds(5)) { self.longest = longest }

  /// How long to wait now; the next one is twice as long.
  package mutating func next() -> Duration {
    defer { pause = min(pause * 2, longest) }
    return pause * Double.random(in: 0.5...1)
  }

  package mutating func reset() { pause = BackOff.shortest }
}
