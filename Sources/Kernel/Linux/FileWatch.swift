internal import Glibc

/// Waits for a file to become another one (inotify(7)).
///
/// It watches directories, not the file: editors and `mv` put a new file in the old one's place, and Kubernetes
/// swaps a link beside it. Where the path ends in another directory through links, that one is watched too.
package struct FileWatch: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor
  private let path: String
  /// The state of the file that the caller knows.
  private var known: FileIdentity?

  /// Begins to watch; the file as it is now counts as known. Neither it nor its directory need exist.
  package init(_ path: String) throws(SystemError) {
    // Looked at first: a change before the watch is armed is then found by the first look after it.
    known = FileWatch.identity(path)
    descriptor = OwnedDescriptor(
      owning: try retryingOnInterrupt("watch", path) { inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK)) })
    self.path = path
  }

  /// A file that cannot be looked at (a link to itself) counts as absent: whoever reads it says why.
  private static func identity(_ path: String) -> FileIdentity? {
    try? Files.identity(path)
  }

  /// Waits at most `limit` and says whether the file has become another one, has come or has gone.
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
      // A directory that is not there yet cannot be watched, only looked for.
      try waitForEvent(atMost: isWatched ? left : min(left, .seconds(1)))
    }
  }

  /// Watches the directories that the path leads through now; the kernel takes a second watch for the first one.
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

  /// The path without links; `nil` where it leads nowhere.
  private static func resolved(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  /// Waits for any event and takes all that are there; what they say is found by looking.
  private func waitForEvent(atMost limit: Duration) throws(SystemError) {
    let milliseconds = limit.components.seconds * 1000 + limit.components.attoseconds / 1_000_000_000_000_000
    var wait = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
    // At least a millisecond, so that a rest of less doesn't spin.
    let ready = try retryingOnInterrupt("watch", path) {
      unsafe poll(&wait, 1, Int32(clamping: max(milliseconds, 1)))
    }
    guard ready > 0 else { return }
    var events = [UInt8](repeating: 0, count: 16384)
    while unsafe read(descriptor.number, &events, events.count) > 0 {}
  }
}
