import JSON
import Testing
import TestSupport

/// Two nodes with the fast path; on each a pod that asks ("client") and one that answers ("server").
struct FastPathStage {
  var cluster: FastPathCluster
  /// The addresses by node and family: IPv4, IPv6.
  let clients: [[String]]
  let servers: [[String]]
  private let flows: String
  private let servings: [RunningProgram]
  /// What every pod's configuration has.
  let more: JSONObject

  init(_ mode: String, _ flows: String, without: Set<Int> = [], _ options: String...) throws {
    let cluster = try FastPathCluster(without: without, options: ["--fast-path-flows", flows] + options)
    let more: JSONObject = ["mode": .string(mode)]
    clients = try (0..<2).map { try cluster.addPod($0, "client", more) }
    servers = try (0..<2).map { try cluster.addPod($0, "server", more) }
    servings = try (0..<2).map { try Traffic(node: cluster.nodes[$0], pod: "server").serve(name: "server-\($0)") }
    self.cluster = cluster
    self.more = more
    self.flows = flows
  }

  func client(_ index: Int) -> Traffic { Traffic(node: cluster.nodes[index], pod: "client") }

  /// What a node's server has written.
  func notes(_ index: Int) -> String { servings[index].output }

  /// Starts a node's agent anew, with the fast path or without.
  mutating func setFastPath(_ index: Int, _ mode: String) throws {
    try cluster.restart(index, ["--fast-path", mode, "--fast-path-flows", flows])
  }

  /// How many packets of clients and servers are carried while something goes on: from and to the first node's pods, from
  /// and to the second's.
  func carried(while body: () throws -> Void) throws -> [Int64] { try counted("carried", while: body) }

  /// The same for another reason.
  func counted(_ reason: String, while body: () throws -> Void) throws -> [Int64] {
    let before = try counts(reason)
    try body()
    return try zip(counts(reason), before).map { $0 - $1 }
  }

  private func counts(_ reason: String) throws -> [Int64] {
    try (0..<2).flatMap { index in
      try ["from-pod", "to-pod"].map { try cluster.packets(index, $0, reason) }
    }
  }

  /// TCP and UDP to an address, every byte compared.
  func talk(_ index: Int, _ host: String, port: Int = 80, to server: String) throws {
    let tcp = try client(index).run("tcp", host, "--port", "\(port)", "--bytes", "3000000")
    #expect(tcp.output.contains("complete 3000000 by \(server)\n"), "\(index) to \(host): \(tcp)")
    let udp = try client(index).run("udp", host, "--port", "\(port)", "--count", "200")
    #expect(udp.output == "\(server) 200\nunanswered 0\n", "\(index) to \(host): \(udp)")
  }
}
