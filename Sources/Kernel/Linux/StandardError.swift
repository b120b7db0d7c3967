internal import Glibc

/// Standard error, for words to the people who read a runtime's log.
package enum StandardError {
  /// Writes one line; that nobody listens is no error.
  package static func write(_ line: String) {
    let bytes = Array(line.utf8) + [0x0A]
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
  }
}
