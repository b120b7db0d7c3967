import JSON
import Linux
import Testing
import TestSupport

/// `causeway-hostgw run`: the agent keeps the state that `sync` creates.
@Suite(.requiresRoot, .timeLimit(.minutes(3)))
struct AgentTests {
  private typealias Fixture = AgentFixture

  @Test func followsTheFileThroughRename() throws {
    let fixture = try Fixture()
    try Cluster.write(Cluster.nodesFile([0, 2]), to: fixture.node)
    try fixture.expectRoutes([AgentFixture.routes[1], AgentFixture.routes[3]])
    try Cluster.write(Cluster.nodesFile(0..<3), to: fixture.node)
    try fixture.expectRoutes(AgentFixture.routes)
  }

  /// Uses a ConfigMap's volume: a link to a link to a directory. An update replaces the link in the middle.
  @Test func followsTheFileThroughAConfigMapsLinks() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh(
      """
      mkdir -p /etc/causeway/map/v1 /etc/causeway/map/v2 && cd /etc/causeway/map
      mv ../nodes.json v1/nodes.json && ln -s v1 ..data && ln -s ..data/nodes.json nodes.json
      """)
    let agent = try node.start([Binaries.hostgw, "run", "--nodes-file", "/etc/causeway/map/nodes.json"])
    defer { agent.stop() }
    #expect(try eventually { try node.podRoutes().count == 2 }, "\(agent.output)")
    try Cluster.write(Cluster.nodesFile(0..<3), to: node)
    try node.sh("cd /etc/causeway/map && mv ../nodes.json v2/ && ln -s v2 ..data.new && mv -T ..data.new ..data")
    #expect(try eventually { try node.podRoutes().count == 4 }, "\(agent.output)")
  }

  @Test func anInvalidFileChangesNothing() throws {
    let fixture = try Fixture()
    try Cluster.write("broken", to: fixture.node)
    #expect(eventually { fixture.agent.output.contains("nodes.json") }, "\(fixture.agent.output)")
    #expect(try fixture.node.podRoutes() == AgentFixture.routes)
    #expect(fixture.agent.isRunning)
    try Cluster.write(Cluster.nodesFile([0, 1]), to: fixture.node)
    try fixture.expectRoutes([AgentFixture.routes[0], AgentFixture.routes[2]])
  }

  @Test func aLinkLoopInsteadOfTheFileEndsNoAgent() throws {
    let fixture = try Fixture()
    try fixture.node.sh("ln -sfn nodes.json /etc/causeway/nodes.json")
    #expect(eventually { fixture.agent.output.contains("symbolic links") }, "\(fixture.agent.output)")
    try Cluster.write(Cluster.nodesFile([0, 2]), to: fixture.node)
    try fixture.expectRoutes([AgentFixture.routes[1], AgentFixture.routes[3]])
  }

  @Test(arguments: [
    "ip route del 10.244.2.0/24", "ip -6 route flush proto 202 || true", "ip nexthop flush proto 202",
    "ip route replace 10.244.2.0/24 via 192.0.2.250 proto 202",
  ])
  func damagedRoutesAreRepaired(_ damage: String) throws {
    let fixture = try Fixture()
    try fixture.node.sh(damage)
    try fixture.expectRoutes(AgentFixture.routes)
  }

  @Test func routesReturnAfterALinkWasDown() throws {
    let fixture = try Fixture()
    try fixture.node.sh("ip link set eth0 down")
    #expect(try eventually { try fixture.node.podRoutes().isEmpty })
    // The kernel removes IPv6 addresses with the link; network managers restore them.
    try fixture.node.sh("ip link set eth0 up && ip address add 2001:db8::11/64 dev eth0 nodad")
    try fixture.expectRoutes(AgentFixture.routes)
  }

  /// Causes so many notifications that the kernel drops some, the one about the removed route among them.
  @Test func aLossWithoutNotificationIsRepaired() throws {
    let fixture = try Fixture()
    fixture.agent.signal(19)
    try fixture.node.sh(
      """
      for n in $(seq 0 255); do for m in $(seq 0 255); do echo "route add 100.$n.$m.0/24 dev eth0"; done; done |
        ip -batch -
      ip route del 10.244.2.0/24
      """, limit: .seconds(120))
    fixture.agent.signal(18)
    try fixture.expectRoutes(AgentFixture.routes)
  }

  @Test func peersAreReachableAfterRoutesWereRepaired() throws {
    let fixture = try Fixture()
    let peer = fixture.cluster.nodes[1]
    try peer.hostgw("sync").succeeded()
    try peer.sh("ip link add pods type bridge && ip address add 10.244.2.1/24 dev pods && ip link set pods up")
    // The agent may repair during the flush, so that `ip` gives up.
    try fixture.node.sh("ip route flush proto 202 || true")
    try fixture.expectRoutes(AgentFixture.routes)
    #expect(try fixture.node.ping("10.244.2.1"))
  }

  @Test func anAgentTerminatesAndLeavesTheRoutes() throws {
    let fixture = try Fixture("--log-level", "debug")
    fixture.agent.signal(15)
    #expect(try fixture.agent.exitStatus(within: .seconds(15)) == 0, "\(fixture.agent.output)")
    // No service had to be cancelled.
    #expect(!fixture.agent.output.contains("took longer"), "\(fixture.agent.output)")
    #expect(try fixture.node.podRoutes() == AgentFixture.routes)
    #expect(try fixture.node.run(["test", "-e", "/run/causeway/subnet.env"]).status == 0)
  }

  @Test func statusShowsEachPeersStateAndReason() throws {
    let fixture = try Fixture()
    let far: JSONValue = ["name": "far", "publicIP": "198.51.100.1", "subnet": "10.244.9.0/24"]
    try Cluster.write(Cluster.nodesFile(0..<3, more: [far]), to: fixture.node)
    var text = ""
    _ = try eventually {
      text = try fixture.node.hostgw("status").output
      return text.contains("10.244.9.0/24")
    }
    for word in ["node-b", "10.244.2.0/24", "192.0.2.12", "eth0", "far", "198.51.100.1", "10.244.9.0/24"] {
      #expect(text.contains(word), "\(text)")
    }
    let json = try JSONValue(parsing: Array(fixture.node.hostgw("status", "--json").output.utf8))
    #expect(json.object?["lease"]?.object?["subnets"] == ["10.244.1.1/24", "fd00:10:244:1::1/64"], "\(json)")
  }
}
