internal import CLinux
internal import Glibc

extension Files {
  /// Makes a file that was not there, whole or not at all; false where the name is taken.
  ///
  /// - Parameter scratch: the file's name while it is written, on file systems that know no nameless files; on the same
  ///   file system, and written by nobody else at the same time. What a crash left there is removed.
  package static func create(
    _ path: String, _ content: [UInt8], mode: UInt32 = 0o600, scratch: String
  ) throws(SystemError) -> Bool {
    let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let nameless = unsafe clinux_open_nameless(directory, mode)
    guard nameless >= 0 else {
      // EISDIR is what kernels answer that do not know the flag, EOPNOTSUPP file systems that do not.
      let code = errno
      guard code == EOPNOTSUPP || code == EISDIR else {
        throw SystemError("make a file in", directory, errno: code)
      }
      return try create(path, content, mode: mode, linkedFrom: scratch)
    }
    let file = OwnedDescriptor(owning: nameless)
    try file.writeAll(content, subject: path)
    // By its name under /proc: AT_EMPTY_PATH would ask for CAP_DAC_READ_SEARCH.
    return try link("/proc/self/fd/\(file.number)", path)
  }

  /// The same with a name for the time of writing.
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

  /// Sets when a file or directory was last changed, to the nanosecond where its file system keeps them.
  package static func setModified(_ path: String, sinceEpoch time: Duration) throws(SystemError) {
    let parts = time.components
    let stamp = timespec(tv_sec: Int(parts.seconds), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
    _ = try retryingOnInterrupt("set the time of", path) { unsafe utimensat(AT_FDCWD, path, [stamp, stamp], 0) }
  }
}
