import JSON
import Testing
import TestSupport

/// Two nodes with the fast path, each with a pod that sends requests ("client") and one that answers ("server").
struct FastPathStage {
  var cluster: FastPathCluster
  /// Addresses by node, IPv4 before IPv6.
  let clients: [[String]]
  let servers: [[String]]
  private let flows: String
  private let serverPrograms: [RunningProgram]
  /// Keys of every pod's configuration.
  let more: JSONObject

  init(_ mode: String, _ flows: String, without: Set<Int> = [], _ options: String...) throws {
    let cluster = try FastPathCluster(without: without, options: ["--fast-path-flows", flows] + options)
    let more: JSONObject = ["mode": .string(mode)]
    clients = try (0..<2).map { try cluster.addPod($0, "client", keys: more) }
    servers = try (0..<2).map { try cluster.addPod($0, "server", keys: more) }
    serverPrograms = try (0..<2).map { try Traffic(node: cluster.nodes[$0], pod: "server").serve(name: "server-\($0)") }
    self.cluster = cluster
    self.more = more
    self.flows = flows
  }

  func client(_ index: Int) -> Traffic { Traffic(node: cluster.nodes[index], pod: "client") }

  /// The output of a node's server.
  func notes(_ index: Int) -> String { serverPrograms[index].output }

  /// Restarts a node's agent with this mode of the fast path.
  mutating func setFastPath(_ index: Int, _ mode: String) throws {
    try cluster.restart(index, ["--fast-path", mode, "--fast-path-flows", flows])
  }

  /// How many packets of clients and servers are carried while `body` runs: from and to the first node's pods, then
  /// from and to the second's.
  func carried(while body: () throws -> Void) throws -> [Int64] { try counted("carried", while: body) }

  /// How many packets are counted for a reason while `body` runs, in the order of `carried`.
  func counted(_ reason: String, while body: () throws -> Void) throws -> [Int64] {
    let before = try counts(reason)
    try body()
    return try zip(counts(reason), before).map { $0 - $1 }
  }

  private func counts(_ reason: String) throws -> [Int64] {
    try (0..<2).flatMap { index in
      try ["from-pod", "to-pod"].map { try cluster.packets(index, $0, reason: reason) }
    }
  }

  /// Sends TCP and UDP to an address, and compares every byte of the answers.
  func talk(_ index: Int, _ host: String, port: Int = 80, to server: String) throws {
    let tcp = try client(index).run("tcp", host, "--port", "\(port)", "--bytes", "3000000")
    #expect(tcp.output.contains("complete 3000000 by \(server)\n"), "\(index) to \(host): \(tcp)")
    let udp = try client(index).run("udp", host, "--port", "\(port)", "--count", "200")
    #expect(udp.output == "\(server) 200\nunanswered 0\n", "\(index) to \(host): \(udp)")
  }
}
