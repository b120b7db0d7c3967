import Linux
import Testing
import TestSupport

/// The agent when etcd, its data or the path to it fails.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct EtcdFailureTests {
  /// A node whose agent has the routes to two peers.
  private final class Fixture {
    static let routes = ["10.244.2.0/24 via 192.0.2.12", "10.244.3.0/24 via 192.0.2.13"]
    let cluster: EtcdCluster
    let agent: RunningProgram
    let subnet: String
    var node: TestNode { cluster.nodes[0] }
    var etcd: EtcdServer { cluster.etcd }

    init(_ setup: EtcdServer.Setup = .init(), options: String...) throws {
      cluster = try EtcdCluster(1, setup)
      try cluster.etcd.putRecord("10.244.2.0-24", of: "192.0.2.12")
      try cluster.etcd.putRecord("10.244.3.0-24", of: "192.0.2.13")
      agent = try cluster.nodes[0].start([Binaries.hostgw, "run"] + cluster.storeOptions + options)
      subnet = try cluster.subnet(0, agent)
      try expectRoutes()
    }

    /// The member that the agent is connected to.
    func member() throws -> Int { try cluster.member(0) }

    /// Writes the record of one more node.
    func putAnother(at member: Int) throws {
      try etcd.waitUntilHealthy(member)
      try etcd.ctl("put", "\(EtcdServer.prefix)/subnets/10.244.4.0-24", EtcdServer.value("192.0.2.14"), at: member)
    }

    func expectRoutes(_ more: String..., within limit: Duration = .seconds(15)) throws {
      try node.expectRoutes(Fixture.routes + more, agent, within: limit)
    }
  }

  @Test func anUnreachableStoreChangesNothing() throws {
    let fixture = try Fixture()
    fixture.etcd.stop(0)
    #expect(eventually { fixture.agent.output.contains("can't be read") }, "\(fixture.agent.output)")
    try fixture.expectRoutes()
    // Lost routes are repaired from memory.
    try fixture.node.sh("ip route del 10.244.2.0/24")
    try fixture.expectRoutes()
    #expect(fixture.agent.isRunning && fixture.agent.output.contains("192.0.2.201"))
    // A second agent that starts now changes nothing, and continues when etcd returns with its data.
    fixture.agent.stop()
    let second = try fixture.cluster.agent(0)
    #expect(eventually { second.output.contains("can't be read") }, "\(second.output)")
    #expect(try fixture.node.podRoutes() == Fixture.routes && fixture.node.subnetOfLease() == fixture.subnet)
    try fixture.etcd.start(0)
    try fixture.etcd.waitUntilHealthy()
    try fixture.etcd.putRecord("10.244.4.0-24", of: "192.0.2.14")
    try fixture.node.expectRoutes(Fixture.routes + ["10.244.4.0/24 via 192.0.2.14"], second, within: .seconds(30))
    #expect(try fixture.node.subnetOfLease() == fixture.subnet)
  }

  @Test func aStoreThatReturnsEmptyChangesNothing() throws {
    let fixture = try Fixture()
    fixture.etcd.stop(0)
    try fixture.etcd.wipe(0)
    try fixture.etcd.start(0)
    try fixture.etcd.waitUntilHealthy()
    #expect(
      eventually(within: .seconds(20)) { fixture.agent.output.contains("has lost what it knew") },
      "\(fixture.agent.output)")
    try fixture.etcd.putConfig()
    MonotonicTime.sleep(.seconds(1))
    #expect(try fixture.node.podRoutes() == Fixture.routes && fixture.node.subnetOfLease() == fixture.subnet)
    #expect(try fixture.etcd.leases().isEmpty)
    // A restarted agent accepts the empty store and claims its former subnet there.
    fixture.agent.stop()
    let second = try fixture.cluster.agent(0)
    try fixture.node.expectRoutes([], second)
    #expect(try eventually { try fixture.etcd.leases().map(\.key) == [keyName(fixture.subnet)] }, "\(second.output)")
  }

  @Test func aDeletedConfigurationChangesNothing() throws {
    let fixture = try Fixture()
    try fixture.etcd.ctl("del", EtcdServer.prefix, "--prefix")
    #expect(
      eventually { fixture.agent.output.contains("has no /coreos.com/network/config") }, "\(fixture.agent.output)")
    try fixture.expectRoutes()
    // An agent that starts now finds no configuration either, and claims no subnet.
    fixture.agent.stop()
    let second = try fixture.cluster.agent(0)
    #expect(eventually { second.output.contains("has no /coreos.com/network/config") }, "\(second.output)")
    #expect(try fixture.node.podRoutes() == Fixture.routes && fixture.etcd.leases().isEmpty)
    try fixture.etcd.putConfig(#"{"Network": "10.244.0.0/16", "SubnetLen": 5}"#)
    #expect(eventually { second.output.contains("SubnetLen is 5") }, "\(second.output)")
    #expect(try fixture.node.podRoutes() == Fixture.routes)
    try fixture.etcd.putConfig()
    #expect(try eventually { try fixture.etcd.leases().map(\.key) == [keyName(fixture.subnet)] }, "\(second.output)")
  }

  @Test func aNetworkFailureLongerThanTheLeaseCostsNoSubnet() throws {
    let cluster = try EtcdCluster(2)
    let (agent, subnet) = try cluster.agentWithLease(0, "--subnet-lease-ttl", "3s")
    let (peer, other) = try cluster.agentWithLease(1)
    try cluster.nodes[1].expectRoutes(["\(subnet) via 192.0.2.11"], peer)
    // The lease is renewed, so it exists after its TTL.
    MonotonicTime.sleep(.seconds(4))
    #expect(try eventually { try cluster.etcd.leases().count == 2 })
    try cluster.segment.setCarrier(false, of: cluster.nodes[0])
    try cluster.nodes[1].expectRoutes([], peer, within: .seconds(20))
    #expect(eventually { agent.output.contains("lease lost") }, "\(agent.output)")
    #expect(try cluster.nodes[0].subnetOfLease() == subnet)
    try cluster.segment.setCarrier(true, of: cluster.nodes[0])
    try cluster.nodes[1].expectRoutes(["\(subnet) via 192.0.2.11"], peer, within: .seconds(60))
    try cluster.nodes[0].expectRoutes(["\(other) via 192.0.2.12"], agent)
    #expect(try cluster.nodes[0].subnetOfLease() == subnet)
  }

  @Test func compactionUnderLoadLosesNothing() throws {
    let fixture = try Fixture()
    for round in 0..<4 {
      // A stopped agent misses compacted events; a running one does not.
      if round == 1 { fixture.agent.signal(19) }
      for half in 0..<2 {
        try fixture.etcd.putRecords((20..<40).map { ("10.244.\($0).0-24", "192.0.2.\($0 + 20 * (round + half))") })
        try fixture.etcd.compact()
      }
      try fixture.etcd.deleteRecord("10.244.\(20 + round).0-24")
      try fixture.etcd.compact()
      if round == 2 { fixture.agent.signal(18) }
    }
    let routes = (20..<40).filter { $0 != 23 }.map { "10.244.\($0).0/24 via 192.0.2.\($0 + 80)" }
    try fixture.node.expectRoutes(Fixture.routes + routes, fixture.agent, within: .seconds(40))
  }

  @Test func anotherMemberAndLeaderAreUsed() throws {
    let fixture = try Fixture(.init(members: 3))
    // First the agent's own member stops, so that the agent must connect to another one, and then the leader.
    let first = try fixture.member()
    fixture.etcd.stop(first)
    try fixture.putAnother(at: (first + 1) % 3)
    try fixture.expectRoutes("10.244.4.0/24 via 192.0.2.14", within: .seconds(40))
    try fixture.etcd.start(first)
    try fixture.etcd.waitUntilHealthy(first)
    let leader = try fixture.etcd.leader()
    fixture.etcd.stop(leader)
    let other = (leader + 1) % 3
    try fixture.etcd.waitUntilHealthy(other)
    try fixture.etcd.ctl("put", "\(EtcdServer.prefix)/subnets/10.244.5.0-24", EtcdServer.value("192.0.2.15"), at: other)
    try fixture.expectRoutes("10.244.4.0/24 via 192.0.2.14", "10.244.5.0/24 via 192.0.2.15", within: .seconds(40))
  }

  @Test func aMemberWithoutLeaderIsAbandonedAndNothingChanges() throws {
    let fixture = try Fixture(.init(members: 3))
    // The agent's own member still runs, without a leader.
    let first = try fixture.member()
    let others = [(first + 1) % 3, (first + 2) % 3]
    for other in others { fixture.etcd.halt(other, true) }
    #expect(
      eventually(within: .seconds(40)) { fixture.agent.output.contains("can't be read") }, "\(fixture.agent.output)")
    try fixture.expectRoutes()
    for other in others { fixture.etcd.halt(other, false) }
    try fixture.putAnother(at: others[0])
    try fixture.expectRoutes("10.244.4.0/24 via 192.0.2.14", within: .seconds(40))
  }

  @Test func aHangingMemberIsAbandoned() throws {
    let fixture = try Fixture(.init(members: 3))
    // Its kernel still answers, so only a request to the process shows it.
    let first = try fixture.member()
    fixture.etcd.halt(first, true)
    try fixture.putAnother(at: (first + 1) % 3)
    try fixture.expectRoutes("10.244.4.0/24 via 192.0.2.14", within: .seconds(60))
  }

  @Test func aSilentlyDeadConnectionIsAbandoned() throws {
    let fixture = try Fixture(.init(members: 3))
    let first = try fixture.member()
    try fixture.cluster.segment.setCarrier(false, of: fixture.etcd.members[first])
    try fixture.putAnother(at: (first + 1) % 3)
    try fixture.expectRoutes("10.244.4.0/24 via 192.0.2.14", within: .seconds(60))
  }
}
