import Glibc
import Linux
import Testing

@Suite struct SysctlAndTimeTests {
  @Test func readsASetting() throws {
    #expect(try Sysctl.read("kernel/ostype") == "Linux")
    #expect(try Sysctl.read("kernel/none") == nil)
    #expect(try Sysctl.read("net/ipv4/conf/none/forwarding") == nil)
  }

  @Test func aSettingWithTheRightValueIsNotWritten() throws {
    // The setting is read-only: a write would fail.
    try Sysctl.ensure("kernel/ostype", "Linux")
    #expect(throws: SystemError.self) { try Sysctl.ensure("kernel/ostype", "Hurd") }
    let error = #expect(throws: SystemError.self) { try Sysctl.ensure("net/none", "1") }
    #expect(error?.errno == ENOENT)
  }

  @Test func clocksAdvance() {
    let start = MonotonicTime.now
    MonotonicTime.sleep(.milliseconds(20))
    #expect(MonotonicTime.now - start >= .milliseconds(20))
    #expect(MonotonicTime.bootSinceEpoch < MonotonicTime.sinceEpoch)
    // The year 2024, so that a wrong unit is detected.
    #expect(MonotonicTime.sinceEpoch > .seconds(1_704_067_200))
  }

  @Test func sleepingForZeroReturns() {
    MonotonicTime.sleep(.zero)
    MonotonicTime.sleep(.seconds(-1))
  }
}
