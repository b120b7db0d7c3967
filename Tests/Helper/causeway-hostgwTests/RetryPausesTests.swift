@testable import causeway_hostgw
import Testing

@Suite struct RetryPausesTests {
  @Test func eachIsTwiceTheLastUpToTheUsualLook() {
    var pauses = RetryPauses()
    #expect((0..<8).map { _ in pauses.next() } == [0.5, 1, 2, 4, 8, 16, 30, 30].map { .seconds($0) })
  }
}
