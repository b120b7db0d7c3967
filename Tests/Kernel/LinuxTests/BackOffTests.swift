import Linux
import Testing

@Suite struct BackOffTests {
  @Test func eachPauseIsTwiceTheLastUpToTheLongest() {
    var backOff = BackOff(shortest: .milliseconds(500), longest: .seconds(30), hasJitter: false)
    #expect((0..<8).map { _ in backOff.next() } == [0.5, 1, 2, 4, 8, 16, 30, 30].map { .seconds($0) })
    backOff.reset()
    #expect(backOff.next() == .milliseconds(500))
  }

  @Test func jitterShortensPausesByAtMostAHalf() {
    var backOff = BackOff()
    var longest = Duration.milliseconds(100)
    for _ in 0..<10 {
      let pause = backOff.next()
      #expect(pause <= longest && pause >= longest * 0.5)
      longest = min(longest * 2, .seconds(5))
    }
    backOff.reset()
    #expect(backOff.next() <= .milliseconds(100))
  }
}
