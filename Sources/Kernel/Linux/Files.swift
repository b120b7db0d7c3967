internal import CLinux
internal import Glibc

/// What tells one state of a file from another: a new inode, size or time of modification is a new content.
package struct FileIdentity: Sendable, Hashable {
  package let device: UInt64
  package let inode: UInt64
  package let sizeBytes: Int64
  /// Since the epoch.
  package let modified: Duration
  /// `S_IFMT` part of the mode.
  package let type: UInt32

  init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    sizeBytes = Int64(status.st_size)
    modified = .seconds(status.st_mtim.tv_sec) + .nanoseconds(status.st_mtim.tv_nsec)
    type = status.st_mode & S_IFMT
  }

  /// The parts of `device` (new_encode_dev in include/linux/kdev_t.h of the kernel).
  var deviceMajor: UInt64 { device >> 8 & 0xFFF }
  var deviceMinor: UInt64 { device & 0xFF | device >> 12 & 0xFFF00 }

  package var isDirectory: Bool { type == S_IFDIR }
  package var isRegularFile: Bool { type == S_IFREG }
}

/// Whole-file operations by path, each one safe against a crash at any instant.
///
/// Directories are believed: whoever may write to one of ours is root, or could be. So their paths lead through links, as
/// where /var/lib lies on another disk. Of the files in them nothing is believed but what is read: none is written
/// through a link, and none, be it a FIFO, holds anybody up (O_NOFOLLOW, O_NONBLOCK).
package enum Files {
  /// The whole content, `nil` where the file does not exist; EFBIG where it is larger than `limit` bytes, EOPNOTSUPP for a
  /// FIFO, which would seem empty.
  package static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8]? {
    do throws(SystemError) {
      // O_NONBLOCK: a FIFO put in the file's place must not hold us up.
      let file = try OwnedDescriptor.open(path, O_RDONLY | O_NONBLOCK)
      var status = stat()
      _ = try retryingOnInterrupt("stat", path) { unsafe fstat(file.number, &status) }
      if status.st_mode & S_IFMT == S_IFIFO { throw SystemError("read the FIFO", path, errno: EOPNOTSUPP) }
      guard status.st_mode & S_IFMT != S_IFREG || status.st_size <= limit,
        let content = try file.readAll(limit: limit, subject: path)
      else {
        throw SystemError("read", path, errno: EFBIG)
      }
      return content
    } catch {
      if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
      throw error
    }
  }

  /// stat(2), following links; `nil` where there is nothing.
  package static func identity(_ path: String) throws(SystemError) -> FileIdentity? {
    var status = stat()
    do throws(SystemError) {
      _ = try retryingOnInterrupt("stat", path) { unsafe stat(path, &status) }
    } catch {
      if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
      throw error
    }
    return FileIdentity(status)
  }

  /// Writes a file that nobody reads while it is written; a crash may leave a part of it, or old content behind the new.
  package static func write(_ path: String, _ content: [UInt8], mode: UInt32 = 0o600) throws(SystemError) {
    // Cut afterwards, not by O_TRUNC: ext4 writes an emptied file to disk when it is closed, and emptying it again waits
    // for that, milliseconds on end.
    let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: mode)
    try file.writeAll(content, subject: path)
    var status = stat()
    _ = try retryingOnInterrupt("stat", path) { unsafe fstat(file.number, &status) }
    if status.st_mode & S_IFMT == S_IFREG, status.st_size > content.count {
      _ = try retryingOnInterrupt("cut", path) { ftruncate(file.number, content.count) }
    }
  }

  /// Puts `content` in the file's place where it differs, and makes the directory where it is missing; says whether it
  /// was another.
  package static func ensure(_ path: String, _ content: [UInt8]) throws(SystemError) -> Bool {
    if let present = try? read(path, limit: content.count), present == content { return false }
    if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
      try makeDirectory(String(path[..<slash]))
    }
    try replace(path, with: content)
    return true
  }

  /// Puts `content` in the file's place by rename: a reader sees the old file or the new one, whole.
  package static func replace(_ path: String, with content: [UInt8], mode: UInt32 = 0o644) throws(SystemError) {
    // One name for all: what a killed writer left is written over by the next. Writers of one file hold a lock.
    let temporary = "\(path).new"
    do throws(SystemError) {
      let file = try OwnedDescriptor.open(
        temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, mode: mode)
      try file.writeAll(content, subject: temporary)
      // The mode of open(2) is cut by the umask; what others must read must not depend on it.
      _ = try retryingOnInterrupt("change the mode of", temporary) { fchmod(file.number, mode) }
      _ = try retryingOnInterrupt("sync", temporary) { fsync(file.number) }
      _ = try retryingOnInterrupt("rename", path) { unsafe rename(temporary, path) }
    } catch {
      unsafe unlink(temporary)
      throw error
    }
  }

  /// Whether we may make files in a directory; EROFS, EACCES or ENOENT where not.
  package static func checkWritable(_ path: String) throws(SystemError) {
    _ = try retryingOnInterrupt("write to", path) { unsafe access(path, W_OK) }
  }

  /// Whether this is a file that we may execute.
  package static func isProgram(_ path: String) -> Bool {
    let identity = try? identity(path)
    guard identity?.isRegularFile == true else { return false }
    return unsafe access(path, X_OK) == 0
  }

  /// unlink(2); absence is success.
  package static func remove(_ path: String) throws(SystemError) {
    do throws(SystemError) {
      _ = try retryingOnInterrupt("remove", path) { unsafe unlink(path) }
    } catch {
      if error.errno != ENOENT && error.errno != ENOTDIR { throw error }
    }
  }

  /// Makes a directory and its parents; those that are there are success.
  package static func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(SystemError) {
    do throws(SystemError) {
      try makeOneDirectory(path, mode)
    } catch {
      guard error.errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else { throw error }
      try makeDirectory(String(path[..<slash]), mode: mode)
      // Once: below /proc there is the parent, and no directory can be made in it all the same.
      try makeOneDirectory(path, mode)
    }
  }

  private static func makeOneDirectory(_ path: String, _ mode: UInt32) throws(SystemError) {
    do throws(SystemError) {
      _ = try retryingOnInterrupt("make the directory", path) { unsafe mkdir(path, mode) }
    } catch {
      // A file of that name is reported by the first use of the directory.
      guard error.errno == EEXIST else { throw error }
    }
  }

  /// The names in a directory but `.` and `..`, in no order; empty where there is no directory.
  package static func names(in path: String) throws(SystemError) -> [String] {
    guard let directory = unsafe opendir(path) else {
      let code = errno
      if code == ENOENT { return [] }
      throw SystemError("list", path, errno: code)
    }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }
}
