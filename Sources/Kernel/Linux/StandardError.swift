internal import Glibc

/// Standard error, which a container runtime copies to its log.
package enum StandardError {
  /// Writes one line; failure to write is ignored.
  package static func write(_ line: String) {
    let bytes = Array(line.utf8) + [0x0A]
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
