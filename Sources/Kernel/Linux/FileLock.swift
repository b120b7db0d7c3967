internal import Glibc

/// An advisory lock on a file or directory (flock(2)); held until the owner goes, also when the process dies.
package struct FileLock: ~Copyable, Sendable {
  /// Who else may hold the lock at the same time: nobody, or other shared holders.
  package enum Mode: Sendable {
    case exclusive
    case shared
  }

  private let descriptor: OwnedDescriptor

  /// Opens (and makes, mode 0600) the file at `path` and waits for its lock; EWOULDBLOCK after `limit`.
  package init(_ path: String, _ mode: Mode = .exclusive, waitingAtMost limit: Duration) throws(SystemError) {
    let descriptor = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: 0o600)
    try FileLock.lock(descriptor.number, path, mode, limit)
    self.descriptor = descriptor
  }

  /// The same for a directory, which must exist.
  package init(directory path: String, waitingAtMost limit: Duration) throws(SystemError) {
    let descriptor = try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY)
    try FileLock.lock(descriptor.number, path, .exclusive, limit)
    self.descriptor = descriptor
  }

  /// Changes the mode of a lock that is held. Not atomic: another waiter may come in between (flock(2)).
  package func change(to mode: Mode, waitingAtMost limit: Duration, subject: String) throws(SystemError) {
    try FileLock.lock(descriptor.number, subject, mode, limit)
  }

  /// Whether somebody holds the file's lock exclusively; false where there is no file.
  package static func isHeldExclusively(_ path: String) throws(SystemError) -> Bool {
    do throws(SystemError) {
      let descriptor = try OwnedDescriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      try lock(descriptor.number, path, .shared, .zero)
      return false
    } catch {
      switch error.errno {
      case ENOENT: return false
      case EWOULDBLOCK: return true
      default: throw error
      }
    }
  }

  /// The process that holds the file's lock, the first of them where it is shared; `nil` where there is none but this one,
  /// or it can't be told, as of one outside of this process's PID namespace (proc_locks(5)).
  package static func holder(_ path: String) -> Int32? {
    guard let file = try? Files.identity(path),
      let locks = try? Files.read("/proc/locks", limit: 4 << 20)
    else { return nil }
    for line in locks.split(separator: UInt8(ascii: "\n")) {
      // 1: FLOCK  ADVISORY  WRITE 1234 08:02:393225 0 EOF; a waiter has an arrow behind its number.
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
    _ descriptor: Int32, _ path: String, _ mode: Mode, _ limit: Duration
  ) throws(SystemError) {
    let operation = (mode == .exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB
    let deadline = MonotonicTime.now + limit
    // flock(2) has no time-out, and a signal to end it belongs to the whole process; so it is asked again, at first
    // quickly (a holder needs some 100 µs), then more and more slowly.
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
