internal import CLinux
internal import Glibc

/// The state of a file by stat(2); if inode, size or time of modification differ, the content may differ.
package struct FileIdentity: Sendable, Hashable {
  /// The file system's device number (`st_dev`).
  package let device: UInt64
  /// The inode number (`st_ino`).
  package let inode: UInt64
  /// The size in bytes (`st_size`).
  package let sizeBytes: Int64
  /// The time of the last modification, since the epoch (`st_mtim`).
  package let modified: Duration
  /// The file type: the `S_IFMT` part of the mode.
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

  /// Whether the file is a directory.
  package var isDirectory: Bool { type == S_IFDIR }
  /// Whether the file is a regular file.
  package var isRegularFile: Bool { type == S_IFREG }
}

/// Whole-file operations by path, each one safe against a crash at any instant.
///
/// Directories are trusted: only root can write to ours. Their paths may lead through symbolic links, for example if
/// /var/lib is on another disk. Files in them are not trusted: no file is written through a symbolic link
/// (O_NOFOLLOW), and a FIFO in a file's place does not block (O_NONBLOCK).
package enum Files {
  /// Reads the whole content; `nil` if the file does not exist.
  ///
  /// - Throws: EFBIG if the file is larger than `limit` bytes; EOPNOTSUPP for a FIFO, which would seem empty.
  package static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8]? {
    do throws(SystemError) {
      // O_NONBLOCK: a FIFO put in the file's place must not block us.
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

  /// Reads the state of a file, following symbolic links (stat(2)); `nil` if it does not exist.
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

  /// Writes a file in place. No other process may read it meanwhile; a crash may leave partial content, or old content
  /// after the new.
  package static func write(_ path: String, _ content: [UInt8], mode: UInt32 = 0o600) throws(SystemError) {
    // Truncated afterwards, not by O_TRUNC: ext4 flushes a truncated file when it is closed, and the next truncation
    // waits for that flush, several milliseconds.
    let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: mode)
    try file.writeAll(content, subject: path)
    var status = stat()
    _ = try retryingOnInterrupt("stat", path) { unsafe fstat(file.number, &status) }
    if status.st_mode & S_IFMT == S_IFREG, status.st_size > content.count {
      _ = try retryingOnInterrupt("truncate", path) { ftruncate(file.number, content.count) }
    }
  }

  /// Replaces the file if its content differs, and creates its directory if that is missing; true if it was replaced.
  package static func ensure(_ path: String, _ content: [UInt8]) throws(SystemError) -> Bool {
    if let present = try? read(path, limit: content.count), present == content { return false }
    if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
      try makeDirectory(String(path[..<slash]))
    }
    try replace(path, with: content)
    return true
  }

  /// Replaces the file atomically by rename(2): a reader sees the whole old content or the whole new content.
  ///
  /// Writers of one file must exclude each other by a lock.
  package static func replace(_ path: String, with content: [UInt8], mode: UInt32 = 0o644) throws(SystemError) {
    // Always the same name, so that the next writer overwrites what a killed writer left.
    let temporary = "\(path).new"
    do throws(SystemError) {
      let file = try OwnedDescriptor.open(
        temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, mode: mode)
      try file.writeAll(content, subject: temporary)
      // open(2) applies the umask to the mode; files that other programs read must not depend on it.
      _ = try retryingOnInterrupt("change the mode of", temporary) { fchmod(file.number, mode) }
      _ = try retryingOnInterrupt("sync", temporary) { fsync(file.number) }
      _ = try retryingOnInterrupt("rename", path) { unsafe rename(temporary, path) }
    } catch {
      unsafe unlink(temporary)
      throw error
    }
  }

  /// Checks that this process may create files in a directory (access(2)).
  ///
  /// - Throws: EROFS, EACCES or ENOENT if it may not.
  package static func checkWritable(_ path: String) throws(SystemError) {
    _ = try retryingOnInterrupt("write to", path) { unsafe access(path, W_OK) }
  }

  /// Whether `path` is a regular file that this process may execute.
  package static func isProgram(_ path: String) -> Bool {
    let identity = try? identity(path)
    guard identity?.isRegularFile == true else { return false }
    return unsafe access(path, X_OK) == 0
  }

  /// Removes a file (unlink(2)); absence is success.
  package static func remove(_ path: String) throws(SystemError) {
    do throws(SystemError) {
      _ = try retryingOnInterrupt("remove", path) { unsafe unlink(path) }
    } catch {
      if error.errno != ENOENT && error.errno != ENOTDIR { throw error }
    }
  }

  /// Creates a directory and its missing parents; a directory that exists is success.
  package static func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(SystemError) {
    do throws(SystemError) {
      try makeOneDirectory(path, mode)
    } catch {
      guard error.errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else { throw error }
      try makeDirectory(String(path[..<slash]), mode: mode)
      // Tried once only: below /proc mkdir(2) fails with ENOENT although the parent exists.
      try makeOneDirectory(path, mode)
    }
  }

  private static func makeOneDirectory(_ path: String, _ mode: UInt32) throws(SystemError) {
    do throws(SystemError) {
      _ = try retryingOnInterrupt("make the directory", path) { unsafe mkdir(path, mode) }
    } catch {
      // If a file has that name, the first use of the directory reports it.
      guard error.errno == EEXIST else { throw error }
    }
  }

  /// Lists the names in a directory without `.` and `..`, unordered; empty if there is no directory.
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
