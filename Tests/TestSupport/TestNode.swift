package import JSON
package import Linux
package import Netlink

/// A machine for a test: a network and a mount namespace of its own, with fresh directories wherever the programs
/// keep something. Nothing that happens in it is seen outside, and it goes when its owner or the test process goes.
package final class TestNode: Sendable {
  private let holder: RunningProgram

  /// The process that holds the namespaces.
  package var processID: Int32 { holder.processID }

  package init() throws {
    let scratch = try TemporaryDirectory()
    let ready = scratch.file("ready")
    holder = try RunningProgram(
      ["unshare", "--net", "--mount", "--propagation", "private", "/bin/sh", "-c", TestNode.script, ready])
    _ = try eventually { try Files.identity(ready) != nil || !holder.isRunning }
    guard try Files.identity(ready) != nil else { throw TestNodeFailed(output: holder.output) }
  }

  /// Ends the node and waits for it: its links and addresses are gone, but for those whose namespace is still open.
  package func close() { holder.stop() }

  /// Overlays make the directories that the machine may lack without making them on the machine.
  private static let script = """
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
    ip link set lo up
    echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
    touch "$0"
    exec sleep infinity
    """
}

/// A node's namespaces could not be made; the shell's words say why.
package struct TestNodeFailed: Error {
  package let output: String
}

extension TestNode {
  /// Runs a command in the node with nothing but PATH and `environment` around it.
  package func run(
    _ command: [String], environment: [String: String] = [:], input: String = "", limit: Duration = .seconds(30)
  ) throws -> CommandResult {
    try TestSupport.run(enter + command, environment: environment, input: input, limit: limit)
  }

  /// Runs a command that must succeed and returns what it wrote.
  @discardableResult
  package func sh(_ script: String, limit: Duration = .seconds(30)) throws -> String {
    try run(["/bin/sh", "-ec", script], limit: limit).succeeded().output
  }

  /// What to put before a command to run it here.
  package var enter: [String] {
    ["nsenter", "--net=/proc/\(processID)/ns/net", "--mount=/proc/\(processID)/ns/mnt", "--"]
  }

  /// The path, seen from outside, of a file of this node.
  package func path(_ inside: String) -> String { "/proc/\(processID)/root\(inside)" }

  /// The node's network namespace.
  package func namespace() throws -> NetworkNamespace { try NetworkNamespace("/proc/\(processID)/ns/net") }

  /// A netlink socket in the node, or in one of its pods.
  package func routeSocket(inPod pod: String? = nil) throws -> RouteSocket {
    try RouteSocket(in: pod.map { try NetworkNamespace(path(podPath($0))) } ?? namespace())
  }
}

extension TestNode {
  /// Makes an empty pod, a network namespace, and returns its path inside the node: what a runtime puts in CNI_NETNS.
  @discardableResult
  package func addPod(_ name: String) throws -> String {
    try ip("netns", "add", name)
    return podPath(name)
  }

  /// Removes a pod, as a runtime does after DEL.
  package func removePod(_ name: String) throws { try ip("netns", "delete", name) }

  private func podPath(_ name: String) -> String { "/run/netns/\(name)" }

  /// Runs a command in a pod of the node.
  package func run(
    inPod pod: String, _ command: [String], limit: Duration = .seconds(30)
  ) throws -> CommandResult {
    try run(["ip", "netns", "exec", pod] + command, limit: limit)
  }
}

extension TestNode {
  /// `ip` with these arguments, which must succeed.
  package func ip(_ arguments: String...) throws { try run(["ip"] + arguments).succeeded() }

  /// What `ip -json` tells in the node or in one of its pods: an object for each line of its plain answer.
  package func ip(json arguments: String..., inPod pod: String? = nil) throws -> [JSONObject] {
    let place = pod.map { ["-netns", $0] } ?? []
    let result = try run(["ip", "-json", "-details"] + place + arguments).succeeded()
    // Some of its lists are no text at all where they are empty.
    guard result.output.contains(where: { !$0.isWhitespace }) else { return [] }
    return try JSONValue(parsing: Array(result.output.utf8)).array?.compactMap(\.object).filter { !$0.members.isEmpty }
      ?? []
  }
}
