internal import Glibc

/// Kernel settings under /proc/sys; those of the network are of the calling thread's namespace.
package enum Sysctl {
  /// The value without its newline, `nil` where this kernel has no such setting.
  package static func read(_ name: String) throws(SystemError) -> String? {
    guard let bytes = try Files.read("/proc/sys/\(name)", limit: 4096) else { return nil }
    let text = String(decoding: bytes, as: UTF8.self)
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }

  /// The same where this kernel has the setting; without it there is nothing to set.
  package static func ensureIfPresent(_ name: String, _ value: String) throws(SystemError) {
    do throws(SystemError) {
      try ensure(name, value)
    } catch {
      guard error.errno == ENOENT else { throw error }
    }
  }

  /// Writes the value unless it is there already: some settings notify all devices at each write.
  ///
  /// ENOENT where this kernel has no such setting.
  package static func ensure(_ name: String, _ value: String) throws(SystemError) {
    if try read(name) == value { return }
    let path = "/proc/sys/\(name)"
    let file = try OwnedDescriptor.open(path, O_WRONLY)
    try file.writeAll(Array(value.utf8), subject: path)
  }
}
