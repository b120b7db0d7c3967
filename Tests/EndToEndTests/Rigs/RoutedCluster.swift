import JSON
import Linux
import Testing
import TestSupport

/// Four nodes on two segments, joined by a router that knows no pod: node-a and node-b are 192.0.2.11 and .12, node-c and
/// node-d 198.51.100.13 and .14, in IPv6 likewise; subnets as in `Cluster`.
struct RoutedCluster {
  let segments: [TestSegment]
  let router: TestNode
  let nodes: [TestNode]
  /// On which segment each node is.
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

  /// IPv4, then IPv6; with the length of the segment's network where that is asked for.
  static func addresses(_ number: Int, _ place: Int, withLength: Bool = false) -> [String] {
    [
      "\(["192.0.2", "198.51.100"][place]).\(number)\(withLength ? "/24" : "")",
      "2001:db8:\(place)::\(number)\(withLength ? "/64" : "")",
    ]
  }

  /// Cables a node to its segment; what lies behind the router is reached by it.
  private func plug(_ index: Int) throws {
    let place = places[index]
    try segments[place].connect(
      nodes[index], addresses: RoutedCluster.addresses(11 + index, place, withLength: true))
    let router = RoutedCluster.addresses(254, place)
    try nodes[index].sh(
      "ip route add default via \(router[0]); ip -6 route add default via \(router[1]) dev eth0")
  }

  /// Takes a node to the other segment, where it has another address.
  mutating func move(_ index: Int) throws {
    try nodes[index].sh("ip link del eth0")
    places[index] = 1 - places[index]
    try plug(index)
  }

  /// Writes the nodes file to all nodes, as they are now.
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

  /// The agents of all nodes, when all have their routes.
  func agents(_ options: String...) throws -> [RunningProgram] {
    let agents = try nodes.indices.map { index in
      try nodes[index].start([Binaries.hostgw, "run", "--node-name", Cluster.name(index)] + options)
    }
    for index in nodes.indices {
      let came = try eventually(within: .seconds(30)) { try isSettled(index) }
      #expect(came, "\(agents[index].output)")
    }
    return agents
  }

  /// Whether a node has a lease and a route to every other one in both families.
  private func isSettled(_ index: Int) throws -> Bool {
    try nodes[index].podRoutes().count == 6
      && Files.identity(nodes[index].path("/run/causeway/subnet.env")) != nil
  }

  /// Adds a pod to each node and returns their addresses: IPv4, IPv6.
  func addPods() throws -> [[String]] {
    try nodes.map { node in
      try node.addPod("pod")
      return try Runtime(node: node).add("pod", RoutedCluster.network).hosts
    }
  }

  private static let network: JSONObject = ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway"]

  /// The pairs of nodes whose pods do not reach each other, in either family, after a minute: links that came up just now
  /// lose first packets.
  func silentPairs(_ pods: [[String]]) throws -> [String] {
    var silent: [String] = []
    _ = try eventually(within: .seconds(60)) {
      silent = try silentPairsNow(pods)
      return silent.isEmpty
    }
    return silent
  }

  private func silentPairsNow(_ pods: [[String]]) throws -> [String] {
    var silent: [String] = []
    for from in nodes.indices {
      for to in nodes.indices where to != from {
        for address in pods[to] where try !nodes[from].ping(from: "pod", address, within: 2) {
          silent.append("\(Cluster.name(from)) to \(address)")
        }
      }
    }
    return silent
  }

  /// Whether a node's agent has come to the end of a pass.
  func isReady(_ index: Int) throws -> Bool {
    let json = try nodes[index].hostgw("status", "--json", "--node-name", Cluster.name(index)).output
    return (try? JSONValue(parsing: Array(json.utf8)))?.object?["agent"]?.object?["ready"] == true
  }

  /// How a node's peers are reached: the link for each node and family, in the order of the nodes.
  func links(_ index: Int) throws -> [String] {
    let json = try nodes[index].hostgw("status", "--json", "--node-name", Cluster.name(index)).output
    let peers = try JSONValue(parsing: Array(json.utf8)).object?["peers"]?.array?.compactMap(\.object) ?? []
    return peers.filter { $0["state"]?.string == "installed" }.compactMap { $0["device"]?.string }
  }
}

/// Packets that pass a node, counted by its own nf_tables.
struct PacketCounter {
  private let node: TestNode

  /// - Parameter rules: names and what each counts, such as `udp dport 8472`.
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

/// Pings of a pod that go on until somebody asks how many were lost.
final class SteadyPing {
  private let program: RunningProgram

  init(_ node: TestNode, from pod: String, _ address: String) throws {
    // While the nodes' own links look for each other, a second for IPv6, the kernel keeps three packets for each.
    let isReached = try eventually { try node.ping(from: pod, address) }
    try #require(isReached, "\(address)")
    let program = try node.start(
      ["ip", "netns", "exec", pod, "ping", "-n", "-i", "0.01", "-W", "2", address])
    self.program = program
    let answers = eventually { program.output.contains("bytes from") }
    try #require(answers, "\(program.output)")
  }

  /// How many packets had an answer or should have had one, twenty at least, and how many had none: those behind the last
  /// answer may be on their way.
  func lost() throws -> (sent: Int, lost: Int) {
    let goesOn = eventually(within: .seconds(30)) { program.output.split(separator: "\n").count > 20 }
    try #require(goesOn, "\(program.output)")
    program.stop()
    let answered = Set(
      program.output.split(separator: "\n").compactMap { line in
        line.split(separator: " ").first { $0.hasPrefix("icmp_seq=") }.flatMap { Int($0.dropFirst(9)) }
      })
    let sent = try #require(answered.max(), "\(program.output.suffix(500))")
    return (sent, sent - answered.count)
  }
}
