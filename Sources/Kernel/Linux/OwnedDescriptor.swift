package import Glibc

/// A file descriptor with one owner, closed when the value is destroyed.
package struct OwnedDescriptor: ~Copyable, Sendable {
  /// The descriptor's number.
  package let number: Int32

  /// Takes ownership of an open descriptor; no other code may close it.
  package init(owning number: Int32) {
    self.number = number
  }

  deinit { close(number) }

  /// Opens a file, always with O_CLOEXEC (open(2)).
  package static func open(_ path: String, _ flags: Int32, mode: mode_t = 0) throws(SystemError)
    -> OwnedDescriptor
  {
    OwnedDescriptor(
      owning: try retryingOnInterrupt("open", path) { unsafe Glibc.open(path, flags | O_CLOEXEC, mode) })
  }

  /// Gives up ownership without closing the descriptor.
  package consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }

  /// Reads to the end of the file; `nil` if there are more than `limit` bytes.
  ///
  /// - Parameter subject: the file's name, for messages.
  package func readAll(limit: Int, subject: String) throws(SystemError) -> [UInt8]? {
    var content: [UInt8] = []
    // Most files read here are small: a setting, a lease, a configuration.
    var chunk = [UInt8](repeating: 0, count: 1024)
    while true {
      let count = try retryingOnInterrupt("read", subject) { unsafe read(number, &chunk, chunk.count) }
      if count == 0 { return content }
      content += chunk.prefix(count)
      if content.count > limit { return nil }
      if count == chunk.count && chunk.count < 1 << 16 { chunk = [UInt8](repeating: 0, count: chunk.count * 8) }
    }
  }

  /// Writes all bytes.
  ///
  /// - Parameter subject: the file's name, for messages.
  package func writeAll(_ bytes: [UInt8], subject: String) throws(SystemError) {
    var written = 0
    while written < bytes.count {
      let rest = bytes[written...]
      written += try retryingOnInterrupt("write", subject) {
        unsafe rest.withUnsafeBytes { unsafe write(number, $0.baseAddress, $0.count) }
      }
    }
  }
}
