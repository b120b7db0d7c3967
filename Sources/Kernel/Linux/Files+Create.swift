internal import CLinux
internal import Glibc

extension Files {
  /// Creates a file with its whole content, or not at all; false if the name exists already.
  ///
  /// - Parameter scratch: the file's name while it is written, on file systems without O_TMPFILE. It must be on the
  ///   same file system, and no other process may write it at the same time. A file that a crash left there is removed.
  package static func create(
    _ path: String, _ content: [UInt8], mode: UInt32 = 0o600, scratch: String
  ) throws(SystemError) -> Bool {
    let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let nameless = unsafe clinux_open_nameless(directory, mode)
    guard nameless >= 0 else {
      // EISDIR: the kernel does not know O_TMPFILE. EOPNOTSUPP: the file system does not support it.
      let code = errno
      guard code == EOPNOTSUPP || code == EISDIR else {
        throw SystemError("make a file in", directory, errno: code)
      }
      return try create(path, content, mode: mode, linkedFrom: scratch)
    }
    let file = OwnedDescriptor(owning: nameless)
    try file.writeAll(content, subject: path)
    // By the descriptor's path under /proc: AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH.
    return try link("/proc/self/fd/\(file.number)", path)
  }

  /// Creates a file by writing `scratch` and linking it to `path`; false if `path` exists already.
  static func create(
    _ path: String, _ content: [UInt8], mode: UInt32, linkedFrom scratch: String
  ) throws(SystemError) -> Bool {
    // Removed, not truncated: a crash after link(2) leaves a second name of a file that counts.
    try remove(scratch)
    let file = try OwnedDescriptor.open(scratch, O_WRONLY | O_CREAT | O_EXCL, mode: mode)
    let isNew: Bool
    do throws(SystemError) {
      try file.writeAll(content, subject: scratch)
      isNew = try link(scratch, path)
    } catch {
      unsafe unlink(scratch)
      throw error
    }
    try remove(scratch)
    return isNew
  }

  private static func link(_ old: String, _ new: String) throws(SystemError) -> Bool {
    do throws(SystemError) {
      _ = try retryingOnInterrupt("make", new) { unsafe linkat(AT_FDCWD, old, AT_FDCWD, new, AT_SYMLINK_FOLLOW) }
      return true
    } catch {
      if error.errno == EEXIST { return false }
      throw error
    }
  }

  /// Sets the access and modification times of a file or directory, as precisely as its file system stores them.
  package static func setModified(_ path: String, sinceEpoch time: Duration) throws(SystemError) {
    let parts = time.components
    let stamp = timespec(tv_sec: Int(parts.seconds), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
    _ = try retryingOnInterrupt("set the time of", path) { unsafe utimensat(AT_FDCWD, path, [stamp, stamp], 0) }
  }
}
