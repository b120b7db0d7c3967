@testable import causeway_hostgw
import Testing

@Suite struct RulesLooksTests {
  private let now = Duration.seconds(1000)

  @Test func looksAreTakenAtOnceWhereSomebodyMayHaveTouchedTheRules() {
    var looks = RulesLooks()
    #expect(looks.wait(at: now) == .zero)
    looks.end(hasFailed: false, at: now)
    #expect(looks.wait(at: now) == nil)
    looks.kernelMayDiffer()
    #expect(looks.wait(at: now) == .zero)
  }

  @Test func nodesThatComeAndGoAreLookedAtNowAndThen() {
    var looks = RulesLooks()
    looks.end(hasFailed: false, at: now)
    looks.nodesHaveChanged()
    #expect(looks.wait(at: now + .milliseconds(100)) == .milliseconds(400))
    #expect(looks.wait(at: now + .seconds(1)) == .zero)
    // What may have been touched does not wait for it, and is not forgotten over it.
    looks.kernelMayDiffer()
    looks.nodesHaveChanged()
    #expect(looks.wait(at: now + .milliseconds(100)) == .zero)
  }

  @Test func failuresAreFollowedByLongerAndLongerPauses() {
    var looks = RulesLooks()
    var pauses: [Duration?] = []
    for _ in 0..<9 {
      looks.end(hasFailed: true, at: now)
      looks.kernelMayDiffer()
      pauses.append(looks.wait(at: now))
    }
    #expect(pauses == [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000].map { .milliseconds($0) })
    looks.end(hasFailed: false, at: now)
    #expect(looks.wait(at: now) == nil)
    looks.end(hasFailed: true, at: now)
    #expect(looks.wait(at: now) == .milliseconds(500))
  }
}
