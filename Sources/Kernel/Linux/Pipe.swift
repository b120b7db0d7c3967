internal import CLinux

/// A pipe (pipe(7)) whose ends no started program inherits.
struct Pipe: ~Copyable {
  let reader: OwnedDescriptor
  let writer: OwnedDescriptor

  init() throws(SystemError) {
    var ends: [Int32] = [-1, -1]
    _ = try retryingOnInterrupt("make", "a pipe") { unsafe clinux_pipe(&ends) }
    reader = OwnedDescriptor(owning: ends[0])
    writer = OwnedDescriptor(owning: ends[1])
  }

  /// Returns the writing end and closes the reading end.
  consuming func takeWriter() -> OwnedDescriptor { writer }
  /// Returns the reading end and closes the writing end.
  consuming func takeReader() -> OwnedDescriptor { reader }
}
