internal import Glibc

/// An advisory lock on a file or directory (flock(2)), released when the value is destroyed or the process dies.
package struct FileLock: ~Copyable, Sendable {
  /// Whether other shared holders may hold the lock at the same time.
  package enum Mode: Sendable {
    case exclusive
    case shared
  }

  private let descriptor: OwnedDescriptor

  /// Opens the file at `path`, creates it with mode 0600 if it is missing, and waits for its lock.
  ///
  /// - Throws: EWOULDBLOCK if another holder keeps the lock longer than `limit`.
  package init(_ path: String, _ mode: Mode = .exclusive, waitingAtMost limit: Duration) throws(SystemError) {
    let descriptor = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: 0o600)
    try FileLock.lock(descriptor.number, path, mode: mode, limit: limit)
    self.descriptor = descriptor
  }

  /// Waits for the exclusive lock of the directory at `path`, which must exist.
  ///
  /// - Throws: EWOULDBLOCK if another holder keeps the lock longer than `limit`.
  package init(directory path: String, waitingAtMost limit: Duration) throws(SystemError) {
    let descriptor = try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY)
    try FileLock.lock(descriptor.number, path, mode: .exclusive, limit: limit)
    self.descriptor = descriptor
  }

  /// Changes the mode of a held lock. The change is not atomic: another waiter may get the lock in between (flock(2)).
  ///
  /// - Parameter subject: the locked file, for messages.
  package func change(to mode: Mode, waitingAtMost limit: Duration, subject: String) throws(SystemError) {
    try FileLock.lock(descriptor.number, subject, mode: mode, limit: limit)
  }

  /// Whether any process holds the file's exclusive lock; false if there is no file.
  package static func isHeldExclusively(_ path: String) throws(SystemError) -> Bool {
    do throws(SystemError) {
      let descriptor = try OwnedDescriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      try lock(descriptor.number, path, mode: .shared, limit: .zero)
      return false
    } catch {
      switch error.errno {
      case ENOENT: return false
      case EWOULDBLOCK: return true
      default: throw error
      }
    }
  }

  /// The ID of another process that holds the file's lock, the first one if it is shared (proc_locks(5)).
  ///
  /// `nil` if no other process holds it, or if the holder is outside this process's PID namespace.
  package static func holder(_ path: String) -> Int32? {
    guard let file = try? Files.identity(path),
      let locks = try? Files.read("/proc/locks", limit: 4 << 20)
    else { return nil }
    for line in locks.split(separator: UInt8(ascii: "\n")) {
      // 1: FLOCK  ADVISORY  WRITE 1234 08:02:393225 0 EOF; a waiter has an arrow after the first number.
      let fields = String(decoding: line, as: UTF8.self).split(separator: " ")
      guard fields.count >= 6, fields[1] == "FLOCK", let process = Int32(fields[4]) else { continue }
      let place = fields[5].split(separator: ":")
      guard place.count == 3, UInt64(place[0], radix: 16) == file.deviceMajor,
        UInt64(place[1], radix: 16) == file.deviceMinor, UInt64(place[2]) == file.inode,
        process > 0, process != CurrentProcess.identifier
      else { continue }
      return process
    }
    return nil
  }

  private static func lock(
    _ descriptor: Int32, _ path: String, mode: Mode, limit: Duration
  ) throws(SystemError) {
    let operation = (mode == .exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB
    let deadline = MonotonicTime.now + limit
    // flock(2) has no timeout, and a signal that ends it would concern the whole process. So it is polled: quickly at
    // first (a holder needs some 100 µs), then more slowly.
    var pause = Duration.microseconds(200)
    while true {
      do throws(SystemError) {
        _ = try retryingOnInterrupt("lock", path) { flock(descriptor, operation) }
        return
      } catch {
        guard error.errno == EWOULDBLOCK, MonotonicTime.now < deadline else { throw error }
      }
      MonotonicTime.sleep(pause)
      pause = min(pause * 3 / 2, .milliseconds(10))
    }
  }
}
