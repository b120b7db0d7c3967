internal import CLinux
internal import Glibc

/// A forked copy of this process that finishes a slow kernel call after the parent has answered.
///
/// The copy closes every inherited descriptor except those it was asked to keep, so a reader of the parent's output
/// sees the end of file without waiting for the copy. If the parent exits first, init reaps the copy.
package struct BackgroundChild: ~Copyable {
  private let process: pid_t
  /// The reading end of a pipe that only the copy holds open: end of file means that the copy has ended.
  private let ending: OwnedDescriptor

  /// Forks and runs `body` in the copy; the result of `body` is the copy's exit code (fork(2)).
  ///
  /// The process must have only one thread.
  ///
  /// - Parameter kept: descriptors that the copy keeps open until it ends.
  package init(keeping kept: [Int32], _ body: () -> UInt8) throws(SystemError) {
    let pipe = try Pipe()
    let process = try retryingOnInterrupt("copy", "this process") { clinux_fork() }
    if process == 0 {
      BackgroundChild.closeAll(but: (kept + [pipe.writer.number]).sorted())
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
    // Before Linux 5.9. This program has opened only a few descriptors, and their numbers are low.
    for number in first...min(last, 1023) where number >= first { _ = Glibc.close(Int32(number)) }
  }

  /// A descriptor for poll(2) that becomes readable when the copy has ended.
  package var descriptor: Int32 { ending.number }

  /// Waits until the copy ends and returns its exit code; `nil` if a signal ended it.
  package consuming func exitCode() throws(SystemError) -> UInt8? {
    var status: Int32 = 0
    let process = process
    _ = try retryingOnInterrupt("wait for", "a copy of this process") { unsafe waitpid(process, &status, 0) }
    return status & 0x7F == 0 ? UInt8(status >> 8 & 0xFF) : nil
  }
}
