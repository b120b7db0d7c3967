// The compiler attributes libc's timespec to either module, depending on which files it compiles together.
internal import CLinux
internal import Glibc

/// The kernel's clocks. Swift's own clocks would link the concurrency library.
package enum MonotonicTime {
  /// Time since boot without suspension (CLOCK_MONOTONIC).
  package static var now: Duration { read(CLOCK_MONOTONIC) }

  /// Time since the epoch (CLOCK_REALTIME).
  package static var sinceEpoch: Duration { read(CLOCK_REALTIME) }

  /// The time when this kernel started, since the epoch; it moves when the wall clock is set (CLOCK_BOOTTIME).
  package static var bootSinceEpoch: Duration { read(CLOCK_REALTIME) - read(CLOCK_BOOTTIME) }

  /// Blocks the calling thread for `duration` (nanosleep(2)).
  package static func sleep(_ duration: Duration) {
    let parts = duration.components
    var wanted = timespec(tv_sec: Int(parts.seconds), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
    var rest = timespec()
    while unsafe nanosleep(&wanted, &rest) == -1 && errno == EINTR { wanted = rest }
  }

  private static func read(_ clock: clockid_t) -> Duration {
    var time = timespec()
    _ = unsafe clock_gettime(clock, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
}
