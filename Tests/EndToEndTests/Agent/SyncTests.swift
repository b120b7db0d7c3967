import JSON
import Testing
import TestSupport

/// `causeway-hostgw sync`: one pass over a nodes file.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct SyncTests {
  private static let routesToB = [
    "10.244.2.0/24 via 192.0.2.12", "fd00:10:244:2::/64 via 2001:db8::12",
  ]

  @Test func installsRoutesAndWritesTheLease() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let sync = try node.hostgw("sync").succeeded()
    #expect(try node.podRoutes() == SyncTests.routesToB)
    #expect(
      try node.sh("cat /run/causeway/subnet.env") == """
        FLANNEL_NETWORK=10.244.0.0/16
        FLANNEL_SUBNET=10.244.1.1/24
        FLANNEL_IPV6_NETWORK=fd00:10:244::/48
        FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64
        FLANNEL_MTU=1500
        FLANNEL_IPMASQ=false

        """)
    #expect(try node.sh("cat /var/lib/causeway/lease.env") == node.sh("cat /run/causeway/subnet.env"))
    let lines = sync.output.split(separator: "\n")
    #expect(lines.count == 2 && lines[0].hasPrefix("node-a: this node") && lines[1].hasPrefix("node-b: 10.244.2.0/24"))
  }

  @Test func aSecondPassChangesNothing() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.hostgw("sync").succeeded()
    let monitor = try RouteMonitor(node, "route", "nexthop")
    try node.hostgw("sync").succeeded()
    #expect(try monitor.changes().isEmpty)
  }

  /// Adds, removes and moves nodes. No route is missing at any time, and routes of removed nodes are deleted.
  @Test func routesFollowTheFile() throws {
    let cluster = try Cluster(3)
    let node = cluster.nodes[0]
    try node.hostgw("sync").succeeded()
    #expect(try node.podRoutes().count == 4)
    let moved: JSONValue = ["name": "node-b", "publicIP": "192.0.2.99", "subnet": "10.244.2.0/24"]
    try Cluster.write(Cluster.nodesFile([0], more: [moved]), to: node)
    let monitor = try RouteMonitor(node, "route")
    try node.hostgw("sync").succeeded()
    #expect(try node.podRoutes() == ["10.244.2.0/24 via 192.0.2.99"])
    let changes = try monitor.changes()
    #expect(!changes.contains { $0.hasPrefix("Deleted 10.244.2.0/24") }, "\(changes)")
    #expect(changes.contains { $0.hasPrefix("Deleted 10.244.3.0/24") }, "\(changes)")
  }

  @Test func itsOwnStrayRoutesAreRemovedAndForeignOnesStay() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh(
      """
      ip route add 10.244.77.0/24 via 192.0.2.77 proto 202
      ip route add 10.244.78.0/24 via 192.0.2.78 proto static
      ip nexthop add id 4711 via 192.0.2.79 dev eth0 proto 202
      ip nexthop add id 4712 via 192.0.2.80 dev eth0
      """)
    try node.hostgw("sync").succeeded()
    #expect(try node.podRoutes() == SyncTests.routesToB)
    #expect(try node.ip(json: "route", "show", "10.244.78.0/24").count == 1)
    let hops = try node.ip(json: "nexthop", "show").compactMap { $0["gateway"]?.string }
    #expect(Set(hops) == ["192.0.2.12", "2001:db8::12", "192.0.2.80"])
  }

  @Test func aForeignRouteInTheWayIsNamedAndLeftAlone() throws {
    let cluster = try Cluster(3)
    let node = cluster.nodes[0]
    try node.sh("ip route add 10.244.2.0/24 via 192.0.2.200 proto static")
    let sync = try node.hostgw("sync")
    #expect(sync.status == 1)
    #expect(sync.output.contains("192.0.2.200"), "\(sync)")
    #expect(try node.ip(json: "route", "show", "10.244.2.0/24").compactMap { $0["gateway"]?.string } == ["192.0.2.200"])
    // Other routes and the lease are not affected.
    #expect(try node.podRoutes().contains("10.244.3.0/24 via 192.0.2.13"))
    #expect(try node.run(["test", "-e", "/run/causeway/subnet.env"]).status == 0)
  }

  @Test func anOffLinkPeerGetsNoRouteAndAReason() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let far: JSONValue = ["name": "far", "publicIP": "198.51.100.1", "subnet": "10.244.9.0/24"]
    try Cluster.write(Cluster.nodesFile(0..<2, more: [far]), to: node)
    // The kernel would accept this route through the default gateway's link, so the helper must refuse it.
    try node.sh("ip route add default via 192.0.2.1")
    let sync = try node.hostgw("sync")
    #expect(sync.status == 1)
    #expect(sync.output.contains("far") && sync.output.contains("198.51.100.1"), "\(sync)")
    #expect(try node.podRoutes() == SyncTests.routesToB)
  }

  @Test func aNodeIsFoundByNameAndByAddress() throws {
    let cluster = try Cluster(2)
    try cluster.nodes[1].hostgw("sync", "--node-name", "node-b").succeeded()
    #expect(try cluster.nodes[1].sh("grep SUBNET /run/causeway/subnet.env").contains("10.244.2.1/24"))
    let wrong = try cluster.nodes[1].hostgw("sync", "--node-name", "node-x")
    #expect(wrong.status == 1 && wrong.errors.contains("node-x"), "\(wrong)")
  }

  @Test func foreignNextHopObjectsAreNotUsed() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.hostgw("sync").succeeded()
    let mine = try node.ip(json: "nexthop", "show").compactMap { $0["id"] }
    // Foreign objects take the IDs that the helper would choose.
    try node.sh("ip nexthop flush proto 202")
    for id in mine {
      guard case .integer(let id) = id else { continue }
      try node.sh("ip nexthop add id \(id) blackhole")
    }
    try node.hostgw("sync").succeeded()
    #expect(try node.podRoutes() == SyncTests.routesToB)
  }

  @Test func cleanRemovesOnlyTheHelpersState() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("ip route add 10.244.78.0/24 via 192.0.2.78 proto static")
    try node.hostgw("sync").succeeded()
    try node.hostgw("clean").succeeded()
    #expect(try node.podRoutes() == [])
    #expect(try node.ip(json: "nexthop", "show").isEmpty)
    #expect(try node.ip(json: "route", "show", "10.244.78.0/24").count == 1)
    #expect(try node.run(["test", "-e", "/run/causeway/subnet.env"]).status != 0)
  }

  // MARK: Bad input

  struct BadFile: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let nodes: JSONValue
    let words: [String]

    init(_ description: String, _ nodes: JSONValue, _ words: String...) {
      testDescription = description
      self.nodes = nodes
      self.words = words
    }
  }

  private static func node(_ name: String, _ ip: String, _ subnet: String) -> JSONValue {
    ["name": .string(name), "publicIP": .string(ip), "subnet": .string(subnet)]
  }

  @Test(arguments: [
    BadFile(
      "overlapping subnets", [node("a", "192.0.2.11", "10.244.0.0/23"), node("b", "192.0.2.12", "10.244.1.0/24")],
      "10.244.0.0/23", "10.244.1.0/24"),
    BadFile(
      "a node twice", [node("a", "192.0.2.11", "10.244.1.0/24"), node("a", "192.0.2.12", "10.244.2.0/24")], "\"a\""),
    BadFile(
      "an address twice", [node("a", "192.0.2.11", "10.244.1.0/24"), node("b", "192.0.2.11", "10.244.2.0/24")],
      "192.0.2.11"),
    BadFile("an address of the wrong family", [node("a", "2001:db8::11", "10.244.1.0/24")], "publicIP", "2001:db8::11"),
    BadFile("a subnet outside the network", [node("a", "192.0.2.11", "10.99.1.0/24")], "10.99.1.0/24"),
    BadFile("a subnet with host bits", [node("a", "192.0.2.11", "10.244.1.7/24")], "10.244.1.7/24"),
    BadFile("no address of ours", [node("a", "192.0.2.200", "10.244.1.0/24")], "192.0.2"),
    BadFile("a name that is none", [["name": 7]], "nodes[0].name"),
    BadFile("no list", "none", "nodes"),
  ])
  func anInvalidFileIsReportedAndChangesNothing(_ bad: BadFile) throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.hostgw("sync").succeeded()
    guard case .object(var file) = Cluster.nodesFile([]) else { return }
    file["nodes"] = bad.nodes
    try Cluster.write(.object(file), to: node)
    let sync = try node.hostgw("sync")
    #expect(sync.status == 1)
    for word in bad.words { #expect(sync.errors.contains(word), "\(sync)") }
    #expect(try node.podRoutes() == SyncTests.routesToB)
    #expect(try node.sh("cat /run/causeway/subnet.env").contains("FLANNEL_SUBNET=10.244.1.1/24"))
  }

  @Test func aFileThatIsNotJSONIsReported() throws {
    let cluster = try Cluster(1)
    try cluster.nodes[0].sh("printf '{\"nodes\": [' >/etc/causeway/nodes.json")
    let sync = try cluster.nodes[0].hostgw("sync")
    #expect(sync.status == 1 && sync.errors.contains("/etc/causeway/nodes.json") && sync.errors.contains("line 1"))
  }

  @Test func optionsComeFromFlagEnvironmentAndFile() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let file: JSONValue = ["subnet-file": "/run/from-file.env", "lease-copy": "/run/copy-from-file.env"]
    let result = try node.run(
      [Binaries.hostgw, "sync", "--config", "-", "--state-dir", "/run/from-flag"],
      environment: ["CAUSEWAY_LEASE_COPY": "/run/copy-from-environment.env", "CAUSEWAY_STATE_DIR": "/run/nowhere"],
      input: file.text())
    try result.succeeded()
    try node.sh(
      "test -e /run/from-file.env && test -e /run/copy-from-environment.env && test -d /run/from-flag && ! test -e /run/nowhere"
    )
    let unknown = try node.hostgw("sync", "--config", "-", input: #"{"colour": "red"}"#)
    #expect(unknown.status != 0 && unknown.errors.contains("colour"), "\(unknown)")
    let other = try node.hostgw("sync", "--store", "etcd")
    #expect(other.status != 0 && other.errors.contains("etcd"), "\(other)")
  }
}
