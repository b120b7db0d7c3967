import JSON
import Testing
import TestSupport

/// Changes of the node's link and addresses while its agent runs.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct InterfaceTests {
  private static let v4Routes = AgentFixture.routes.filter { $0.hasPrefix("10.") }

  // MARK: Links

  @Test func theLeaseFollowsTheMTU() throws {
    let fixture = try AgentFixture()
    try fixture.expectLease("FLANNEL_MTU=1500")
    for mtu in [1400, 9000] {
      try fixture.node.ip("link", "set", "eth0", "mtu", "\(mtu)")
      try fixture.expectLease("FLANNEL_MTU=\(mtu)")
    }
    try fixture.expectRoutes(AgentFixture.routes)
  }

  /// Renames the link, which does not affect the kernel's routes.
  @Test func aRenamedLinkKeepsItsRoutes() throws {
    let fixture = try AgentFixture()
    let monitor = try RouteMonitor(fixture.node, "route", "nexthop")
    try fixture.node.ip("link", "set", "eth0", "name", "lan0")
    try fixture.waitForPass()
    let changes = try monitor.changes().filter { !$0.contains("10.244.3.0/24") && $0.contains("Deleted") }
    #expect(changes.isEmpty, "\(changes)")
    #expect(try fixture.devices() == ["lan0"])
    let status = try fixture.node.hostgw("status").succeeded().output
    #expect(status.contains("lan0") && !status.contains("eth0"), "\(status)")
  }

  /// Deletes and restores the link: another index, the same addresses.
  @Test func routesReturnWithTheLink() throws {
    let fixture = try AgentFixture()
    let node = fixture.node
    try node.ip("link", "delete", "eth0")
    #expect(try eventually { try node.podRoutes().isEmpty })
    #expect(eventually { fixture.agent.output.contains("none of the nodes") }, "\(fixture.agent.output)")
    // Pods that start meanwhile still get their configuration from the lease.
    #expect(try node.sh("cat /run/causeway/subnet.env").contains("FLANNEL_SUBNET=10.244.1.1/24"))
    try fixture.cluster.segment.connect(node, addresses: ["192.0.2.11/24", "2001:db8::11/64"])
    try fixture.expectRoutes(AgentFixture.routes)
    #expect(fixture.agent.isRunning)
  }

  /// Adds a new link with the addresses before the old link is deleted.
  @Test func routesMoveToAReplacementLink() throws {
    let fixture = try AgentFixture()
    try fixture.cluster.segment.connect(
      fixture.node, as: "eth1", addresses: ["192.0.2.11/24", "2001:db8::11/64"])
    try fixture.node.ip("link", "delete", "eth0")
    try fixture.expectRoutes(AgentFixture.routes)
    #expect(try eventually { try fixture.devices() == ["eth1"] })
  }

  /// Removes the carrier, with which the kernel drops next-hop objects and their routes.
  @Test func routesReturnWithTheCarrier() throws {
    let fixture = try AgentFixture()
    let node = fixture.node
    try fixture.cluster.segment.setCarrier(false, of: node)
    #expect(eventually { fixture.agent.output.contains("has no carrier") }, "\(fixture.agent.output)")
    #expect(try node.podRoutes().isEmpty)
    try fixture.cluster.segment.setCarrier(true, of: node)
    try fixture.expectRoutes(AgentFixture.routes)
  }

  // MARK: Addresses

  /// Moves the addresses from a link to a bridge, as when the link becomes its port.
  @Test func routesFollowTheAddressToAnotherLink() throws {
    let fixture = try AgentFixture()
    let monitor = try RouteMonitor(fixture.node, "route")
    try fixture.node.sh(
      """
      ip link add br0 type bridge forward_delay 0 && ip link set br0 up
      ip address del 192.0.2.11/24 dev eth0
      ip address del 2001:db8::11/64 dev eth0
      ip link set eth0 master br0
      ip address add 192.0.2.11/24 dev br0
      ip address add 2001:db8::11/64 dev br0 nodad
      """)
    #expect(try eventually { try fixture.devices() == ["br0"] }, "\(fixture.agent.output)")
    try fixture.expectRoutes(AgentFixture.routes)
    // The next hops were changed under their routes.
    let gone = try monitor.changes().filter { $0.hasPrefix("Deleted 10.244.") }
    #expect(gone.isEmpty, "\(gone)")
    #expect(try fixture.node.ping("192.0.2.12"))
  }

  struct Renumbering: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let steps: [Step]
    enum Step: Sendable { case file, add, remove }

    init(_ description: String, _ steps: Step...) {
      testDescription = description
      self.steps = steps
    }
  }

  /// Gives this node another IPv4 address, in every order of steps. No route is missing at any time.
  @Test(arguments: [
    Renumbering("file, old removed, new added", .file, .remove, .add),
    Renumbering("old removed, file, new added", .remove, .file, .add),
    Renumbering("old removed, new added, file", .remove, .add, .file),
    Renumbering("new added, old removed, file", .add, .remove, .file),
    Renumbering("new added, file, old removed", .add, .file, .remove),
    Renumbering("file, new added, old removed", .file, .add, .remove),
  ])
  func anotherAddressInterruptsNoRoute(_ renumbering: Renumbering) throws {
    let fixture = try AgentFixture()
    let node = fixture.node
    // As systemd sets it; otherwise the kernel removes the secondary address with the primary one.
    try node.sh("echo 1 >/proc/sys/net/ipv4/conf/eth0/promote_secondaries")
    let monitor = try RouteMonitor(node, "route")
    for step in renumbering.steps {
      switch step {
      case .add: try node.sh("ip address add 192.0.2.21/24 dev eth0")
      case .remove: try node.sh("ip address del 192.0.2.11/24 dev eth0")
      case .file:
        guard case .object(var own) = Cluster.entry(0) else { return }
        own["publicIP"] = "192.0.2.21"
        try Cluster.write(Cluster.nodesFile([1, 2], more: [.object(own)]), to: node)
      }
      // Wait until the agent has handled this step.
      try node.sh("ip route del fd00:10:244:3::/64")
      try fixture.expectRoutes(AgentFixture.routes)
    }
    let gone = try monitor.changes().filter { $0.hasPrefix("Deleted 10.244.") }
    #expect(gone.isEmpty, "\(gone)\n\(fixture.agent.output)")
    let status = try node.hostgw("status").succeeded().output
    #expect(!status.contains("Error"), "\(status)")
  }

  /// Flushes all addresses, as a network manager does when it starts.
  @Test func routesReturnAfterAFlush() throws {
    let fixture = try AgentFixture()
    try fixture.node.sh("ip address flush dev eth0 scope global && ip route flush proto 202 || true")
    #expect(eventually { fixture.agent.output.contains("none of the nodes") }, "\(fixture.agent.output)")
    try fixture.node.sh(
      "ip address add 192.0.2.11/24 dev eth0 && ip address add 2001:db8::11/64 dev eth0 nodad")
    try fixture.expectRoutes(AgentFixture.routes)
  }

  /// Gives another machine this node's IPv6 address. IPv4 continues, and IPv6 returns when the duplicate is removed.
  @Test func aDuplicateAddressAffectsItsFamilyOnly() throws {
    let fixture = try AgentFixture()
    let node = fixture.node
    let other = fixture.cluster.nodes[1]
    try node.sh("ip address del 2001:db8::11/64 dev eth0 && echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad")
    try other.sh("ip address add 2001:db8::11/64 dev eth0 nodad")
    try node.sh("ip address add 2001:db8::11/64 dev eth0")
    #expect(
      eventually(within: .seconds(20)) { fixture.agent.output.contains("in use by another machine too") },
      "\(fixture.agent.output)")
    try node.sh("ip route del 10.244.2.0/24")
    #expect(
      try eventually { try node.podRoutes().filter { $0.hasPrefix("10.") } == InterfaceTests.v4Routes })
    try other.sh("ip address del 2001:db8::11/64 dev eth0")
    try node.sh("ip -6 route flush proto 202 || true")
    try node.sh("ip address del 2001:db8::11/64 dev eth0 && ip address add 2001:db8::11/64 dev eth0")
    try fixture.expectRoutes(AgentFixture.routes)
  }

  /// Uses addresses without a network, as from DHCPv6 and in some clouds. A separate route has the network.
  @Test func anAddressWithoutNetworkUsesTheRouteBesideIt() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh(
      """
      ip address flush dev eth0 scope global
      ip address add 192.0.2.11/32 dev eth0
      ip address add 2001:db8::11/128 dev eth0 nodad
      """)
    let alone = try node.hostgw("sync")
    #expect(alone.status == 1 && alone.output.contains("no network of this node holds 192.0.2.12"), "\(alone)")
    try node.sh(
      "ip route add 192.0.2.0/24 dev eth0 && ip -6 route add 2001:db8::/64 dev eth0 proto ra expires 600")
    try node.hostgw("sync").succeeded()
    #expect(try node.podRoutes() == ["10.244.2.0/24 via 192.0.2.12", "fd00:10:244:2::/64 via 2001:db8::12"])
  }

  // MARK: Families

  private static func node(_ index: Int, without fields: String...) -> JSONValue {
    guard case .object(var node) = Cluster.entry(index) else { return .null }
    for field in fields { node[field] = .null }
    return .object(node)
  }

  /// Runs one node of both families and one of each.
  @Test func aNodeOfOneFamilyUsesThatFamily() throws {
    let cluster = try Cluster(3)
    let file = Cluster.nodesFile(
      [0],
      more: [
        InterfaceTests.node(1, without: "publicIPv6", "ipv6Subnet"),
        InterfaceTests.node(2, without: "publicIP", "subnet"),
      ])
    let expected = [
      [AgentFixture.routes[0], AgentFixture.routes[3]], ["10.244.1.0/24 via 192.0.2.11"],
      ["fd00:10:244:1::/64 via 2001:db8::11"],
    ]
    try cluster.nodes[1].sh("ip address del 2001:db8::12/64 dev eth0")
    try cluster.nodes[2].sh("ip address del 192.0.2.13/24 dev eth0")
    for (node, expected) in zip(cluster.nodes, expected) {
      try Cluster.write(file, to: node)
      try node.hostgw("sync").succeeded()
      #expect(try node.podRoutes() == expected)
    }
    #expect(try !cluster.nodes[1].sh("cat /run/causeway/subnet.env").contains("IPV6_SUBNET"))
    #expect(try !cluster.nodes[2].sh("cat /run/causeway/subnet.env").contains("FLANNEL_SUBNET"))
  }

  // MARK: Selectors

  /// Gives a node the addresses of two records. The selected interface decides which record is its own.
  @Test(arguments: [
    ["--iface", "none", "--iface", "eth1"], ["--iface=eth1"], ["--iface-regex", "^eth[1-9]$"],
    ["--iface-can-reach", "198.51.100.7"], ["--iface-can-reach", "2001:db8:9::7"], ["--public-ip", "192.0.2.12"],
  ])
  func theSelectedInterfaceIdentifiesTheNode(_ arguments: [String]) throws {
    let cluster = try Cluster(3)
    let node = cluster.nodes[0]
    try cluster.segment.connect(node, as: "eth1", addresses: ["192.0.2.12/24"])
    try node.sh(
      """
      ip route add 198.51.100.0/24 via 192.0.2.99 dev eth1
      ip -6 route add 2001:db8:9::/64 via fe80::99 dev eth1
      """)
    let ambiguous = try node.hostgw("sync")
    #expect(ambiguous.status == 1 && ambiguous.errors.contains("--node-name"), "\(ambiguous)")
    let sync = try node.run([Binaries.hostgw, "sync"] + arguments)
    #expect(sync.output.hasPrefix("node-b: this node"), "\(sync)")
  }
}
