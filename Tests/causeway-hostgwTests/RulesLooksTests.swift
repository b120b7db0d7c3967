import Testing

@testable import causeway_hostgw

@Suite struct RulesLooksTests {
  @Test func looksAreTakenWhereThereIsAReason() {
    var looks = RulesLooks()
    #expect(looks.mayLook)
    #expect(looks.end(hasFailed: false) == nil)
    #expect(!looks.mayLook)
    looks.isDue = true
    #expect(looks.mayLook)
  }

  @Test func failuresAreFollowedByLongerAndLongerPauses() {
    var looks = RulesLooks()
    var pauses: [Duration?] = []
    for _ in 0..<9 { pauses.append(looks.end(hasFailed: true)) }
    #expect(pauses == [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000].map { .milliseconds($0) })
    #expect(looks.isDue && !looks.mayLook)
    #expect(looks.end(hasFailed: false) == nil)
    #expect(looks.end(hasFailed: true) == .milliseconds(500))
  }
}
