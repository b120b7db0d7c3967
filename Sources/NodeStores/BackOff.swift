/// Pauses that double from 0.1 to 5 seconds, each shortened by chance: many agents that lose one store do not come back
/// all at once.
struct BackOff {
  private static let shortest = Duration.milliseconds(100)
  private static let longest = Duration.seconds(5)
  private var pause = shortest

  /// How long to wait now; the next one is twice as long.
  mutating func next() -> Duration {
    defer { pause = min(pause * 2, BackOff.longest) }
    return pause * Double.random(in: 0.5...1)
  }

  mutating func reset() { pause = BackOff.shortest }
}
