package import JSON

/// Where a test runs commands: a node of namespaces on this machine, or one in a virtual machine.
package protocol TestHost: Sendable {
  /// `run` is the same with what most commands have.
  func execute(
    _ command: [String], environment: [String: String], input: String, limit: Duration
  ) throws -> CommandResult
}

extension TestHost {
  /// Runs a command with nothing but PATH and `environment` around it.
  package func run(
    _ command: [String], environment: [String: String] = [:], input: String = "", limit: Duration = .seconds(60)
  ) throws -> CommandResult {
    try execute(command, environment: environment, input: input, limit: limit)
  }

  /// Runs a command that must succeed and returns what it wrote.
  @discardableResult
  package func sh(_ script: String, limit: Duration = .seconds(60)) throws -> String {
    try run(["/bin/sh", "-ec", script], limit: limit).succeeded().output
  }
}

extension TestHost {
  /// Makes an empty pod, a network namespace, and returns its path inside the node: what a runtime puts in CNI_NETNS.
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
