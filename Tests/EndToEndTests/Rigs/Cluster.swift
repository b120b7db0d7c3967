import JSON
import Testing
import TestSupport

/// Nodes on one segment that know each other from `nodes.json`, as in `conf/nodes.json`. node-a has 192.0.2.11,
/// 2001:db8::11, 10.244.1.0/24 and fd00:10:244:1::/64; the others count up.
struct Cluster {
  let segment: TestSegment
  let nodes: [TestNode]

  init(_ count: Int) throws {
    let segment = try TestSegment()
    self.segment = segment
    nodes = try (0..<count).map { index in
      let node = try TestNode()
      try segment.connect(node, addresses: ["192.0.2.\(11 + index)/24", "2001:db8::\(11 + index)/64"])
      return node
    }
    for node in nodes { try Cluster.write(Cluster.nodesFile(0..<count), to: node) }
  }

  /// A nodes file with these nodes, followed by `more`.
  static func nodesFile(_ indexes: some Sequence<Int>, more: [JSONValue] = []) -> JSONValue {
    [
      "network": [
        "Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/48",
        "Backend": ["Type": "host-gw"],
      ],
      "nodes": .array(indexes.map(entry) + more),
    ]
  }

  static func entry(_ index: Int) -> JSONValue {
    [
      "name": .string(name(index)), "publicIP": .string("192.0.2.\(11 + index)"),
      "publicIPv6": .string("2001:db8::\(11 + index)"), "subnet": .string("10.244.\(index + 1).0/24"),
      "ipv6Subnet": .string("fd00:10:244:\(index + 1)::/64"),
    ]
  }

  static func name(_ index: Int) -> String {
    ["node-a", "node-b", "node-c", "node-d", "node-e", "node-f"][index]
  }

  /// Writes the nodes file by rename, as an editor does.
  static func write(_ file: JSONValue, to node: TestNode) throws {
    let text = try file.text(.indented(2))
    try node.run(
      [
        "/bin/sh", "-ec",
        "cat >/etc/causeway/nodes.json.new && mv /etc/causeway/nodes.json.new /etc/causeway/nodes.json",
      ],
      input: text
    ).succeeded()
  }
}

extension TestNode {
  /// Runs the helper until it exits.
  func hostgw(_ arguments: String..., input: String = "") throws -> CommandResult {
    try run([Binaries.hostgw] + arguments, input: input)
  }

  /// The helper's routes to other nodes' pods as "destination via gateway", sorted as text.
  func podRoutes() throws -> [String] {
    var routes: [String] = []
    for family in ["-4", "-6"] {
      for route in try ip(json: family, "route", "show", "proto", "202") where route["type"]?.string != "blackhole" {
        guard let destination = route["dst"]?.string else { continue }
        // The gateway of a route through a next-hop object stands alone or in a list.
        let via = route["via"]?.object?["host"]?.string
        routes.append("\(destination) via \(route["gateway"]?.string ?? via ?? "?")")
      }
    }
    return routes.sorted()
  }

  /// The subnets whose unused addresses the helper drops.
  func blackholes() throws -> [String] {
    try ["-4", "-6"].flatMap { family in
      try ip(json: family, "route", "show", "proto", "202", "type", "blackhole").compactMap { $0["dst"]?.string }
    }
  }
}

/// The output of `ip monitor` on a node. Probe routes that it adds and deletes show up to where the output has been
/// read.
final class RouteMonitor {
  private let node: TestNode
  private let program: RunningProgram
  private var probes = 0

  init(_ node: TestNode, _ objects: String...) throws {
    self.node = node
    program = try node.start(["ip", "monitor"] + objects)
    let isListening = try eventually { hasReported(try probe()) }
    try #require(isListening, "\(program.output)")
  }

  /// The lines so far, without those about probe routes.
  func changes() throws -> [String] {
    let last = try probe()
    try #require(eventually { hasReported(last) }, "\(program.output)")
    return program.output.split(separator: "\n").map { String($0) }.filter { !$0.contains("198.18.0.") }
  }

  /// Adds and deletes a probe route, and returns its address.
  private func probe() throws -> String {
    probes += 1
    let address = "198.18.0.\(probes % 256)"
    try node.sh("ip route add \(address) dev lo && ip route del \(address) dev lo")
    return address
  }

  private func hasReported(_ address: String) -> Bool {
    program.output.split(separator: "\n").contains { $0.hasPrefix("Deleted \(address) ") }
  }
}
