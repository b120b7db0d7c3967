internal import Glibc

/// A watch for changes of one file (inotify(7)).
///
/// Directories are watched, not the file: editors and `mv` replace the file, and Kubernetes replaces a symbolic link
/// beside it. If the path leads through links into another directory, that directory is watched too.
package struct FileWatch: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor
  private let path: String
  /// The state of the file that was reported last.
  private var known: FileIdentity?

  /// Begins to watch for changes from the file's present state. Neither the file nor its directory need exist.
  package init(_ path: String) throws(SystemError) {
    // Read first, so that the first check after the watch is armed finds a change made before it.
    known = FileWatch.identity(path)
    descriptor = OwnedDescriptor(
      owning: try retryingOnInterrupt("watch", path) { inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK)) })
    self.path = path
  }

  /// The file's state; a file that cannot be examined (a link to itself) counts as absent, and reading it reports why.
  private static func identity(_ path: String) -> FileIdentity? {
    try? Files.identity(path)
  }

  /// Waits at most `limit`; true if the file was changed, replaced, created or removed since the last report.
  package mutating func waitForChange(atMost limit: Duration) throws(SystemError) -> Bool {
    let deadline = MonotonicTime.now + limit
    while true {
      let isWatched = arm()
      let identity = FileWatch.identity(path)
      if identity != known {
        known = identity
        return true
      }
      let left = deadline - MonotonicTime.now
      guard left > .zero else { return false }
      // A directory that does not exist yet cannot be watched, only polled for.
      try waitForEvent(atMost: isWatched ? left : min(left, .seconds(1)))
    }
  }

  /// Watches the directories that the path leads to now. Adding a watch again changes nothing (inotify_add_watch(2)).
  private func arm() -> Bool {
    let events =
      IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF
    var isWatched = false
    for file in [path, FileWatch.resolved(path)].compactMap({ $0 }) {
      let slash = file.lastIndex(of: "/")
      let directory = slash.map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? "."
      if unsafe inotify_add_watch(descriptor.number, directory, UInt32(events)) >= 0 { isWatched = true }
    }
    return isWatched
  }

  /// The path with all links resolved; `nil` if it leads to no file.
  private static func resolved(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  /// Waits for any event and discards all pending ones: the caller compares the file's state instead.
  private func waitForEvent(atMost limit: Duration) throws(SystemError) {
    let milliseconds = limit.components.seconds * 1000 + limit.components.attoseconds / 1_000_000_000_000_000
    var wait = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
    // At least a millisecond, so that a shorter remaining time does not become a busy loop.
    let ready = try retryingOnInterrupt("watch", path) {
      unsafe poll(&wait, 1, Int32(clamping: max(milliseconds, 1)))
    }
    guard ready > 0 else { return }
    var events = [UInt8](repeating: 0, count: 16384)
    while unsafe read(descriptor.number, &events, events.count) > 0 {}
  }
}
