package import Glibc

/// A file descriptor with one owner; closed when the owner goes.
package struct OwnedDescriptor: ~Copyable, Sendable {
  package let number: Int32

  /// Takes over a descriptor that nobody else closes.
  package init(owning number: Int32) {
    self.number = number
  }

  deinit { close(number) }

  /// open(2), always close-on-exec.
  package static func open(_ path: String, _ flags: Int32, mode: mode_t = 0) throws(SystemError)
    -> OwnedDescriptor
  {
    OwnedDescriptor(
      owning: try retryingOnInterrupt("open", path) { unsafe Glibc.open(path, flags | O_CLOEXEC, mode) })
  }

  /// Gives the descriptor away unclosed.
  package consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }

  /// Reads to the end of the file, `nil` where there is more than `limit` bytes.
  package func readAll(limit: Int, subject: String) throws(SystemError) -> [UInt8]? {
    var content: [UInt8] = []
    // Most of what is read here is small: a setting, a lease, a configuration.
    var chunk = [UInt8](repeating: 0, count: 1024)
    while true {
      let count = try retryingOnInterrupt("read", subject) { unsafe read(number, &chunk, chunk.count) }
      if count == 0 { return content }
      content += chunk.prefix(count)
      if content.count > limit { return nil }
      if count == chunk.count && chunk.count < 1 << 16 { chunk = [UInt8](repeating: 0, count: chunk.count * 8) }
    }
  }

  /// Writes every byte.
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
