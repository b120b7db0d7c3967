import JSON
import Linux
import Testing
import TestSupport

/// Nodes with pods, all or some of them with the fast path. Each node has its own file system for BPF objects.
struct FastPathCluster {
  let cluster: Cluster
  var nodes: [TestNode] { cluster.nodes }
  private(set) var agents: [RunningProgram] = []

  /// - Parameters:
  ///   - count: How many nodes. Each has an agent.
  ///   - without: The nodes whose agents run without the fast path.
  init(_ count: Int = 2, without: Set<Int> = [], options: [String] = []) throws {
    cluster = try Cluster(count)
    for index in 0..<count {
      try nodes[index].sh("mount -t bpf bpf /sys/fs/bpf")
      agents.append(try agent(index, without.contains(index) ? options : ["--fast-path", "on"] + options))
    }
    for index in 0..<count {
      let isReached = try eventually(within: .seconds(30)) { try isReady(index, hasFastPath: !without.contains(index)) }
      try #require(isReached, "\(agents[index].output)")
    }
  }

  func agent(_ index: Int, _ options: [String] = ["--fast-path", "on"]) throws -> RunningProgram {
    try nodes[index].start([Binaries.hostgw, "run", "--node-name", Cluster.name(index)] + options)
  }

  /// Stops a node's agent.
  func stopAgent(_ index: Int) { agents[index].stop() }

  /// Stops a node's agent, and starts one with other options.
  mutating func restart(_ index: Int, _ options: [String]) throws {
    agents[index].stop()
    agents[index] = try agent(index, options)
    let hasFastPath = options.contains("--fast-path") && !options.contains("off")
    let isReached = try eventually(within: .seconds(30)) { try isReady(index, hasFastPath: hasFastPath) }
    try #require(isReached, "\(agents[index].output)")
  }

  /// Whether the routes are installed and the fast path has its peers of both families.
  private func isReady(_ index: Int, hasFastPath: Bool) throws -> Bool {
    guard try nodes[index].podRoutes().count == 2 * (nodes.count - 1) else { return false }
    let fastPath = try status(index)["fastPath"]?.object
    guard hasFastPath else {
      // Pins are removed first, and routes are installed before the lease's file is written.
      return try fastPath == nil && nodes[index].fastPathRemains() == []
        && Files.identity(nodes[index].path("/run/causeway/subnet.env")) != nil
    }
    return fastPath?["state"] == "on" && fastPath?["peers"] == .integer(Int64(2 * (nodes.count - 1)))
  }

  /// The `status --json` of a node's agent.
  func status(_ index: Int) throws -> JSONObject {
    let json = try nodes[index].hostgw("status", "--json", "--node-name", Cluster.name(index)).output
    return (try? JSONValue(parsing: Array(json.utf8)))?.object ?? [:]
  }

  /// How many packets a node's programs have counted for a reason, in one direction ("from-pod", "to-pod").
  func packets(_ index: Int, _ direction: String, reason: String = "carried") throws -> Int64 {
    try counted("packets", index, direction: direction, reason: reason)
  }

  /// How many bytes they have counted. Offloads make fewer packets of them.
  func bytes(_ index: Int, _ direction: String, reason: String = "carried") throws -> Int64 {
    try counted("bytes", index, direction: direction, reason: reason)
  }

  private func counted(_ what: String, _ index: Int, direction: String, reason: String) throws -> Int64 {
    let counts = try status(index)["fastPath"]?.object?[direction]?.object
    guard case .integer(let number)? = counts?[reason]?.object?[what] else { return 0 }
    return number
  }

  /// Adds a pod and returns its IPv4 and IPv6 addresses. The capability `bandwidth` is declared without limits, so that
  /// ADD itself attaches the fast path.
  func addPod(_ index: Int, _ name: String = "pod", keys: JSONObject = [:]) throws -> [String] {
    try nodes[index].addPod(name)
    var configuration: JSONObject = [
      "cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "capabilities": ["bandwidth": true],
    ]
    for member in keys.members { configuration[member.name] = member.value }
    return try Runtime(node: nodes[index]).add(name, configuration).hosts
  }
}
