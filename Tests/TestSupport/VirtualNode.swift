/// A node like `TestNode`, in the virtual machine, for features that this machine's kernel lacks.
package final class VirtualNode: TestHost {
  private let machine: VirtualMachine
  /// The ID, in the virtual machine, of the process that holds the namespaces.
  private let processID: Int32

  package init() throws {
    machine = try VirtualMachine.shared.get()
    let started = try machine.run(["/bin/sh", "-c", VirtualNode.starter, TestNode.script])
    guard let processID = Int32(started.output.dropLast()) else { throw TestNodeFailed(output: started.description) }
    self.processID = processID
  }

  deinit { _ = try? machine.run(["kill", "-KILL", String(processID)]) }

  /// Writes the process ID when the node is ready, or else the process's output.
  private static let starter = """
    scratch=$(mktemp -d)
    unshare --net --mount --propagation private /bin/sh -c "$0" "$scratch/ready" >"$scratch/log" 2>&1 &
    while [ ! -e "$scratch/ready" ] && kill -0 $!; do sleep 0.01; done
    if [ -e "$scratch/ready" ]; then echo $!; else cat "$scratch/log"; fi
    rm -r "$scratch"
    """

  package func execute(
    _ command: [String], environment: [String: String], input: String, limit: Duration
  ) throws -> CommandResult {
    try machine.run(TestNode.enter(processID) + command, environment: environment, input: input, limit: limit)
  }
}
