package import Linux
package import Netlink

/// A node for a test: its own network and mount namespace, with empty directories wherever the programs
/// store files. It does not change the machine, and it is removed when the value is destroyed or the test process ends.
package final class TestNode: TestHost {
  private let holder: RunningProgram

  /// The process that holds the namespaces.
  package var processID: Int32 { holder.processID }

  package init() throws {
    let scratch = try TemporaryDirectory()
    let ready = scratch.file("ready")
    holder = try RunningProgram(
      ["unshare", "--net", "--mount", "--propagation", "private", "/bin/sh", "-c", TestNode.script, ready])
    _ = try eventually(within: .seconds(60)) { try Files.identity(ready) != nil || !holder.isRunning }
    guard try Files.identity(ready) != nil else { throw TestNodeFailed(output: holder.output) }
  }

  /// Ends the node and waits for that: its links are removed, except in namespaces that are still open.
  package func close() { holder.stop() }

  /// Overlays provide directories that the machine may lack, without creating them on the machine.
  static let script = """
    set -e
    mount -t tmpfs -o mode=0755 tmpfs /mnt
    for directory in /etc /var/lib /opt; do
      mkdir -p "/mnt/upper$directory" "/mnt/work$directory"
      mount -t overlay -o "lowerdir=$directory,upperdir=/mnt/upper$directory,workdir=/mnt/work$directory" \
        overlay "$directory"
    done
    for directory in /run /etc/cni /etc/causeway /var/lib/cni /var/lib/causeway /opt/cni/bin; do
      mkdir -p "$directory"
      mount -t tmpfs -o mode=0755 tmpfs "$directory"
    done
    # /sys/class/net shows the namespace that mounted it; all nodes share the control groups.
    mkdir /mnt/cgroup
    mount --rbind /sys/fs/cgroup /mnt/cgroup
    mount -t sysfs sysfs /sys
    mount --rbind /mnt/cgroup /sys/fs/cgroup
    ip link set lo up
    echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
    touch "$0"
    exec sleep infinity
    """
}

/// The error of a node whose namespaces could not be created, with the shell's output.
package struct TestNodeFailed: Error {
  package let output: String
}

extension TestNode {
  package func execute(
    _ command: [String], environment: [String: String], input: String, limit: Duration
  ) throws -> CommandResult {
    try TestSupport.run(enter + command, environment: environment, input: input, limit: limit)
  }

  /// The prefix of a command that runs it in the node.
  package var enter: [String] { TestNode.enter(processID) }

  static func enter(_ processID: Int32) -> [String] {
    ["nsenter", "--net=/proc/\(processID)/ns/net", "--mount=/proc/\(processID)/ns/mnt", "--"]
  }

  /// The path by which a file of this node is reached from outside.
  package func path(_ inside: String) -> String { "/proc/\(processID)/root\(inside)" }

  /// The node's network namespace.
  package func namespace() throws -> NetworkNamespace { try NetworkNamespace("/proc/\(processID)/ns/net") }

  /// A netlink socket in the node, or in one of its pods.
  package func routeSocket(inPod pod: String? = nil) throws -> RouteSocket {
    try RouteSocket(in: pod.map { try NetworkNamespace(path(podPath($0))) } ?? namespace())
  }
}
