internal import CLinux
internal import Glibc

/// A copy of this process that sits out something that takes long and that nobody need wait for, such as the kernel's
/// grace periods. It holds none of this process's descriptors but those that it shall keep, so whoever waits for the end
/// of our output does not wait for it; whoever adopts orphans reaps it.
package struct Offshoot: ~Copyable {
  private let process: pid_t
  /// Its end of file says that the copy has ended.
  private let ending: OwnedDescriptor

  /// Begins `body` in a copy; what it returns is the copy's exit code. Only for a process of one thread.
  ///
  /// - Parameter kept: descriptors that the copy keeps open until its end.
  package init(keeping kept: [Int32], _ body: () -> UInt8) throws(SystemError) {
    let pipe = try Pipe()
    let process = try retryingOnInterrupt("copy", "this process") { clinux_fork() }
    if process == 0 {
      Offshoot.closeAll(but: (kept + [pipe.writer.number]).sorted())
      _exit(Int32(body()))
    }
    self.process = process
    ending = pipe.takeReader()
  }

  private static func closeAll(but kept: [Int32]) {
    var first: UInt32 = 0
    for number in kept.map(UInt32.init(bitPattern:)) {
      if number > first { close(first, number - 1) }
      first = number + 1
    }
    close(first, .max)
  }

  private static func close(_ first: UInt32, _ last: UInt32) {
    if clinux_close_range(first, last) == 0 { return }
    // Before Linux 5.9. This program has opened a few, one after the other.
    for number in first...min(last, 1023) where number >= first { _ = Glibc.close(Int32(number)) }
  }

  /// Its end, for poll(2): readable when the copy has ended.
  package var descriptor: Int32 { ending.number }

  /// Waits for the end and says the exit code; `nil` where a signal ended it.
  package consuming func exitCode() throws(SystemError) -> UInt8? {
    var status: Int32 = 0
    let process = process
    _ = try retryingOnInterrupt("wait for", "a copy of this process") { unsafe waitpid(process, &status, 0) }
    return status & 0x7F == 0 ? UInt8(status >> 8 & 0xFF) : nil
  }
}
