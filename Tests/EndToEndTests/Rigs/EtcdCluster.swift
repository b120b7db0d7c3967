import JSON
import Linux
import Testing
import TestSupport

/// An etcd and nodes on one segment. Node 0 is 192.0.2.11 and 2001:db8::11; the others count up.
struct EtcdCluster {
  let segment: TestSegment
  let etcd: EtcdServer
  let nodes: [TestNode]

  /// - Parameter config: the value of the key `config`; `nil` writes no such key.
  init(_ count: Int, _ setup: EtcdServer.Setup = .init(), config: String? = EtcdServer.config, hasIPv6: Bool = true)
    throws
  {
    let segment = try TestSegment()
    self.segment = segment
    etcd = try EtcdServer(segment, setup)
    nodes = try (0..<count).map { index in
      let node = try TestNode()
      let ipv6 = hasIPv6 ? ["2001:db8::\(String(11 + index, radix: 10))/64"] : []
      try segment.connect(node, addresses: ["\(EtcdCluster.address(index))/24"] + ipv6)
      return node
    }
    if let config { try etcd.putConfig(config) }
  }

  static func address(_ index: Int) -> String { "192.0.2.\(11 + index)" }

  /// The helper's options for this etcd, with `--iface`, since the nodes have no default route that names the link.
  var storeOptions: [String] { ["--store", "etcd", "--etcd-endpoints", etcd.endpoints, "--iface", "eth0"] }

  /// Starts a node's agent.
  func agent(_ index: Int, _ options: String...) throws -> RunningProgram {
    try nodes[index].start([Binaries.hostgw, "run"] + storeOptions + options)
  }

  /// Starts a node's agent, and waits until it has a lease.
  func agentWithLease(_ index: Int, _ options: String...) throws -> (agent: RunningProgram, subnet: String) {
    let agent = try nodes[index].start([Binaries.hostgw, "run"] + storeOptions + options)
    return (agent, try subnet(index, agent))
  }

  /// Waits for the node's IPv4 subnet in `subnet.env`, such as "10.244.7.0/24".
  func subnet(_ index: Int, _ agent: RunningProgram) throws -> String {
    var found: String?
    _ = try eventually(within: .seconds(20)) {
      found = try nodes[index].subnetOfLease()
      return found != nil
    }
    return try #require(found, "\(agent.output)")
  }
}

extension TestNode {
  /// The node's IPv4 subnet in `subnet.env`; `nil` if there is no file.
  func subnetOfLease() throws -> String? {
    let file = try Files.read(path("/run/causeway/subnet.env"), limit: 65536).map {
      String(decoding: $0, as: UTF8.self)
    }
    let line = file?.split(separator: "\n").first { $0.hasPrefix("FLANNEL_SUBNET=") }
    guard let gateway = line?.dropFirst("FLANNEL_SUBNET=".count) else { return nil }
    // The gateway has the subnet's first usable address.
    let octets = gateway.prefix { $0 != "/" }.split(separator: ".").compactMap { Int($0) }
    let base = (octets.dropLast() + [(octets.last ?? 0) - 1]).map { String($0) }.joined(separator: ".")
    return base + gateway.drop { $0 != "/" }
  }

  /// Waits until the helper's routes are these. The failure shows the present ones.
  func expectRoutes(
    _ routes: [String], _ agent: RunningProgram, within limit: Duration = .seconds(15),
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let isReached = try eventually(within: limit) { try podRoutes() == routes.sorted() }
    let now = try podRoutes()
    #expect(isReached, "\(now)\n\(agent.output)", sourceLocation: sourceLocation)
  }
}

extension EtcdCluster {
  /// The agent's `status --json` of a node; empty if no agent answers.
  func status(_ index: Int) throws -> JSONObject {
    let result = try nodes[index].run([Binaries.hostgw, "status", "--json"] + storeOptions)
    return (try? JSONValue(parsing: Array(result.output.utf8)).object) ?? JSONObject()
  }

  /// The member of etcd that a node's agent is connected to.
  func member(_ index: Int) throws -> Int {
    let endpoint = try status(index)["store"]?.object?["endpoint"]?.string ?? ""
    return try #require(etcd.members.indices.first { endpoint.contains(EtcdServer.address($0)) }, "\(endpoint)")
  }

  /// The state of a node's lease in its agent's `status --json`.
  func leaseState(_ index: Int) throws -> String? {
    try status(index)["lease"]?.object?["state"]?.string
  }
}

/// The key of a subnet's record under `subnets/`.
func keyName(_ subnet: String) -> String { subnet.replacing("/", with: "-") }
