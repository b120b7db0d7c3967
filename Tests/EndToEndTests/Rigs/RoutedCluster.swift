import JSON
import Linux
import Testing
import TestSupport

/// Four nodes on two segments with a router between them that has no routes to pods. node-a and node-b are 192.0.2.11
/// and .12, node-c and node-d 198.51.100.13 and .14, likewise in IPv6. Their subnets are those of `Cluster`.
struct RoutedCluster {
  let segments: [TestSegment]
  let router: TestNode
  let nodes: [TestNode]
  /// The segment of each node.
  private(set) var places = [0, 0, 1, 1]

  init(_ backend: JSONValue) throws {
    segments = try [TestSegment(), TestSegment()]
    router = try TestNode()
    for (place, segment) in segments.enumerated() {
      try segment.connect(router, as: "eth\(place)", addresses: RoutedCluster.addresses(254, place, withLength: true))
    }
    try router.sh("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
    nodes = try (0..<4).map { _ in try TestNode() }
    for index in nodes.indices { try plug(index) }
    try write(backend)
  }

  /// The IPv4 and the IPv6 address of a host on a segment, with the prefix length if `withLength`.
  static func addresses(_ number: Int, _ place: Int, withLength: Bool = false) -> [String] {
    [
      "\(["192.0.2", "198.51.100"][place]).\(number)\(withLength ? "/24" : "")",
      "2001:db8:\(place)::\(number)\(withLength ? "/64" : "")",
    ]
  }

  /// Connects a node to its segment, with the router as its default gateway.
  private func plug(_ index: Int) throws {
    let place = places[index]
    try segments[place].connect(
      nodes[index], addresses: RoutedCluster.addresses(11 + index, place, withLength: true))
    let router = RoutedCluster.addresses(254, place)
    try nodes[index].sh(
      "ip route add default via \(router[0]); ip -6 route add default via \(router[1]) dev eth0")
  }

  /// Moves a node to the other segment, where it has other addresses.
  mutating func move(_ index: Int) throws {
    try nodes[index].sh("ip link del eth0")
    places[index] = 1 - places[index]
    try plug(index)
  }

  /// Writes a nodes file with the present addresses to all nodes.
  func write(_ backend: JSONValue) throws {
    let entries = nodes.indices.map { index -> JSONValue in
      let addresses = RoutedCluster.addresses(11 + index, places[index])
      return [
        "name": .string(Cluster.name(index)), "publicIP": .string(addresses[0]), "publicIPv6": .string(addresses[1]),
        "subnet": .string("10.244.\(index + 1).0/24"), "ipv6Subnet": .string("fd00:10:244:\(index + 1)::/64"),
      ]
    }
    let file: JSONValue = [
      "network": [
        "Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/48", "Backend": backend,
      ], "nodes": .array(entries),
    ]
    for node in nodes { try Cluster.write(file, to: node) }
  }

  func agent(_ index: Int, _ options: String...) throws -> RunningProgram {
    try nodes[index].start([Binaries.hostgw, "run", "--node-name", Cluster.name(index)] + options)
  }

  /// Starts the agents of all nodes, and waits until all have their routes.
  func agents(_ options: String...) throws -> [RunningProgram] {
    let agents = try nodes.indices.map { index in
      try nodes[index].start([Binaries.hostgw, "run", "--node-name", Cluster.name(index)] + options)
    }
    for index in nodes.indices {
      let isReached = try eventually(within: .seconds(30)) { try isSettled(index) }
      #expect(isReached, "\(agents[index].output)")
    }
    return agents
  }

  /// Whether a node has a lease and a route to every other node in both families.
  private func isSettled(_ index: Int) throws -> Bool {
    try nodes[index].podRoutes().count == 6
      && Files.identity(nodes[index].path("/run/causeway/subnet.env")) != nil
  }

  /// Adds a pod to each node and returns their IPv4 and IPv6 addresses.
  func addPods() throws -> [[String]] {
    try nodes.map { node in
      try node.addPod("pod")
      return try Runtime(node: node).add("pod", RoutedCluster.network).hosts
    }
  }

  private static let network: JSONObject = ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway"]

  /// The pairs of nodes whose pods still do not reach each other after a minute, in either family. Links that have just
  /// come up lose their first packets.
  func unreachablePairs(_ pods: [[String]]) throws -> [String] {
    var unreachable: [String] = []
    _ = try eventually(within: .seconds(60)) {
      unreachable = try unreachablePairsNow(pods)
      return unreachable.isEmpty
    }
    return unreachable
  }

  private func unreachablePairsNow(_ pods: [[String]]) throws -> [String] {
    var unreachable: [String] = []
    for from in nodes.indices {
      for to in nodes.indices where to != from {
        for address in pods[to] where try !nodes[from].ping(from: "pod", address, within: 2) {
          unreachable.append("\(Cluster.name(from)) to \(address)")
        }
      }
    }
    return unreachable
  }

  /// Whether a node's agent has completed a pass.
  func isReady(_ index: Int) throws -> Bool {
    let json = try nodes[index].hostgw("status", "--json", "--node-name", Cluster.name(index)).output
    return (try? JSONValue(parsing: Array(json.utf8)))?.object?["agent"]?.object?["ready"] == true
  }

  /// The outgoing link of each installed peer of a node, in the order of `status`.
  func links(_ index: Int) throws -> [String] {
    let json = try nodes[index].hostgw("status", "--json", "--node-name", Cluster.name(index)).output
    let peers = try JSONValue(parsing: Array(json.utf8)).object?["peers"]?.array?.compactMap(\.object) ?? []
    return peers.filter { $0["state"]?.string == "installed" }.compactMap { $0["device"]?.string }
  }
}

/// Counts packets in a node's own nf_tables rules.
struct PacketCounter {
  private let node: TestNode

  /// - Parameter rules: names and matches of the counters, such as `udp dport 8472`.
  init(_ node: TestNode, hook: String, _ rules: [(name: String, match: String)]) throws {
    self.node = node
    let counters = rules.map { "counter \($0.name) { }" }.joined(separator: "\n")
    let lines = rules.map { "\($0.match) counter name \($0.name)" }.joined(separator: "\n")
    try node.run(
      ["nft", "-f", "-"],
      input: """
        table inet watch {
          \(counters)
          chain watch {
            type filter hook \(hook) priority -300; policy accept;
            \(lines)
          }
        }

        """
    ).succeeded()
  }

  func packets(_ name: String) throws -> Int64 {
    let json = try JSONValue(parsing: Array(node.sh("nft -j list counter inet watch \(name)").utf8))
    for entry in json.object?["nftables"]?.array?.compactMap(\.object) ?? [] {
      if case .integer(let packets)? = entry["counter"]?.object?["packets"] { return packets }
    }
    return -1
  }
}

/// Pings from a pod until a test asks how many packets were lost.
final class SteadyPing {
  private let program: RunningProgram

  init(_ node: TestNode, from pod: String, _ address: String) throws {
    // Neighbour discovery on a new IPv6 link takes a second, in which the kernel queues only three packets for each
    // neighbour.
    let isReached = try eventually { try node.ping(from: pod, address) }
    try #require(isReached, "\(address)")
    let program = try node.start(
      ["ip", "netns", "exec", pod, "ping", "-n", "-i", "0.01", "-W", "2", address])
    self.program = program
    let answers = eventually { program.output.contains("bytes from") }
    try #require(answers, "\(program.output)")
  }

  /// How many packets were sent up to the last answer, at least 20, and how many of them had no answer. Packets after
  /// the last answer may still be on their way.
  func lost() throws -> (sent: Int, lost: Int) {
    let hasEnough = eventually(within: .seconds(30)) { program.output.split(separator: "\n").count > 20 }
    try #require(hasEnough, "\(program.output)")
    program.stop()
    let answered = Set(
      program.output.split(separator: "\n").compactMap { line in
        line.split(separator: " ").first { $0.hasPrefix("icmp_seq=") }.flatMap { Int($0.dropFirst(9)) }
      })
    let sent = try #require(answered.max(), "\(program.output.suffix(500))")
    return (sent, sent - answered.count)
  }
}
