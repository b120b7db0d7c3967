internal import CLinux

/// A pipe (pipe(7)) whose ends no other program inherits.
struct Pipe: ~Copyable {
  let reader: OwnedDescriptor
  let writer: OwnedDescriptor

  init() throws(SystemError) {
    var ends: [Int32] = [-1, -1]
    _ = try retryingOnInterrupt("make", "a pipe") { unsafe clinux_pipe(&ends) }
    reader = OwnedDescriptor(owning: ends[0])
    writer = OwnedDescriptor(owning: ends[1])
  }

  /// Keeps the writing end and closes the other.
  consuming func takeWriter() -> OwnedDescriptor { writer }
  /// Keeps the reading end and closes the other.
  consuming func takeReader() -> OwnedDescriptor { reader }
}
