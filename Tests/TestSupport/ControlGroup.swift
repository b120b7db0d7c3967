internal import Foundation

/// A place for a test's containers among the control groups, which are the machine's: whatever runs in it is killed,
/// and it is removed, when its owner goes.
package final class ControlGroup: Sendable {
  /// Its name for a container runtime, as `/causeway-…`.
  package let path: String

  package init() throws {
    path = "/causeway-\(UUID().uuidString)"
    try run(["/bin/sh", "-ec", ControlGroup.home + #"mkdir -p "$home/runtime""#, path]).succeeded()
  }

  deinit { _ = try? run(["/bin/sh", "-c", ControlGroup.removal, path]) }

  /// What to put before the command of a runtime: all that it starts, and leaves, is in the group.
  package var enter: [String] {
    ["/bin/sh", "-ec", ControlGroup.home + #"echo $$ >"$home/runtime/cgroup.procs"; exec "$@""#, path]
  }

  /// Version 2 has one hierarchy; of version 1's many, this one takes processes without further settings.
  private static let home = """
    root=/sys/fs/cgroup; test -e $root/cgroup.procs || root=$root/pids; home=$root$0

    """

  /// A runtime makes the group in every hierarchy. 0 stands for a process of another process namespace.
  private static let removal = """
    places=$(ls -d /sys/fs/cgroup$0 /sys/fs/cgroup/*$0 2>/dev/null)
    for attempt in $(seq 200); do
      found=$(find $places -name cgroup.procs -exec cat {} + | sort -u | grep -vx 0) || break
      kill -KILL $found; sleep 0.02
    done
    find $places -depth -type d -exec rmdir {} +
    """
}
