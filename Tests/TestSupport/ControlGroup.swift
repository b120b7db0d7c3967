internal import Foundation

/// A control group for a test's containers. Control groups belong to the whole machine, so its processes are killed
/// and the group is removed when the value is destroyed.
package final class ControlGroup: Sendable {
  /// The group's path for a container runtime: `/causeway-…`.
  package let path: String

  package init() throws {
    path = "/causeway-\(UUID().uuidString)"
    try run(["/bin/sh", "-ec", ControlGroup.home + #"mkdir -p "$home/runtime""#, path]).succeeded()
  }

  deinit { _ = try? run(["/bin/sh", "-c", ControlGroup.removal, path]) }

  /// The prefix of a runtime's command that puts it and all its processes into the group.
  package var enter: [String] {
    ["/bin/sh", "-ec", ControlGroup.home + #"echo $$ >"$home/runtime/cgroup.procs"; exec "$@""#, path]
  }

  /// Version 2 has one hierarchy; in version 1 this hierarchy accepts processes without further settings.
  private static let home = """
    root=/sys/fs/cgroup; test -e $root/cgroup.procs || root=$root/pids; home=$root$0

    """

  /// A runtime creates the group in every hierarchy. A process of another PID namespace is listed as 0.
  private static let removal = """
    places=$(ls -d /sys/fs/cgroup$0 /sys/fs/cgroup/*$0 2>/dev/null)
    for attempt in $(seq 200); do
      found=$(find $places -name cgroup.procs -exec cat {} + | sort -u | grep -vx 0) || break
      kill -KILL $found; sleep 0.02
    done
    find $places -depth -type d -exec rmdir {} +
    """
}
