package import JSON

/// A node on which a test runs commands: namespaces on this machine or in a virtual machine.
package protocol TestHost: Sendable {
  /// Runs a command; callers use `run`, which has default values.
  func execute(
    _ command: [String], environment: [String: String], input: String, limit: Duration
  ) throws -> CommandResult
}

extension TestHost {
  /// Runs a command with only PATH and `environment` as its environment.
  package func run(
    _ command: [String], environment: [String: String] = [:], input: String = "", limit: Duration = .seconds(60)
  ) throws -> CommandResult {
    try execute(command, environment: environment, input: input, limit: limit)
  }

  /// Runs a shell script that must succeed, and returns its output.
  @discardableResult
  package func sh(_ script: String, limit: Duration = .seconds(60)) throws -> String {
    try run(["/bin/sh", "-ec", script], limit: limit).succeeded().output
  }
}

extension TestHost {
  /// Creates a network namespace for a pod, and returns its path in the node, as a runtime writes it to CNI_NETNS.
  @discardableResult
  package func addPod(_ name: String) throws -> String {
    try ip("netns", "add", name)
    return podPath(name)
  }

  /// Removes a pod, as a runtime does after DEL.
  package func removePod(_ name: String) throws { try ip("netns", "delete", name) }

  package func podPath(_ name: String) -> String { "/run/netns/\(name)" }

  /// Runs a command in a pod of the node.
  package func run(
    inPod pod: String, _ command: [String], limit: Duration = .seconds(60)
  ) throws -> CommandResult {
    try run(["ip", "netns", "exec", pod] + command, limit: limit)
  }
}

extension TestHost {
  /// `ip` with these arguments, which must succeed.
  package func ip(_ arguments: String...) throws { try run(["ip"] + arguments).succeeded() }

  /// The output of `ip -json` in the node or in one of its pods: an object for each line of its plain output.
  package func ip(json arguments: String..., inPod pod: String? = nil) throws -> [JSONObject] {
    let place = pod.map { ["-netns", $0] } ?? []
    let result = try run(["ip", "-json", "-details"] + place + arguments).succeeded()
    // For some empty lists the output is empty.
    guard result.output.contains(where: { !$0.isWhitespace }) else { return [] }
    return try JSONValue(parsing: Array(result.output.utf8)).array?.compactMap(\.object).filter { !$0.members.isEmpty }
      ?? []
  }
}
