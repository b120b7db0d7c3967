internal import Glibc

/// Kernel settings under /proc/sys; network settings are those of the calling thread's network namespace.
package enum Sysctl {
  /// Reads a setting without its newline; `nil` if this kernel has no such setting.
  ///
  /// - Parameter name: the path below /proc/sys, such as `net/ipv4/ip_forward`.
  package static func read(_ name: String) throws(SystemError) -> String? {
    guard let bytes = try Files.read("/proc/sys/\(name)", limit: 4096) else { return nil }
    let text = String(decoding: bytes, as: UTF8.self)
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }

  /// Writes the value unless it is set already; does nothing if this kernel has no such setting.
  package static func ensureIfPresent(_ name: String, _ value: String) throws(SystemError) {
    do throws(SystemError) {
      try ensure(name, value)
    } catch {
      guard error.errno == ENOENT else { throw error }
    }
  }

  /// Writes the value unless it is set already: some settings notify all devices at each write.
  ///
  /// - Throws: ENOENT if this kernel has no such setting.
  package static func ensure(_ name: String, _ value: String) throws(SystemError) {
    if try read(name) == value { return }
    let path = "/proc/sys/\(name)"
    let file = try OwnedDescriptor.open(path, O_WRONLY)
    try file.writeAll(Array(value.utf8), subject: path)
  }
}
