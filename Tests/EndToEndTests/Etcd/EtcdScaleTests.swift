import Testing
import TestSupport

/// Many leases and many agents.
@Suite(.requiresRoot, .timeLimit(.minutes(8)))
struct EtcdScaleTests {
  @Test func aThousandLeasesBecomeAThousandRoutes() throws {
    let cluster = try EtcdCluster(
      1, config: #"{"Network": "10.0.0.0/8", "SubnetMin": "10.200.0.0", "SubnetMax": "10.200.9.0"}"#, hasIPv6: false)
    let node = cluster.nodes[0]
    try node.sh("ip address add 198.18.0.1/15 dev eth0")
    let (agent, _) = try cluster.agentWithLease(0)
    func routes(_ count: Int) throws -> Bool {
      try node.sh("ip route show proto 202 type unicast | wc -l") == "\(count)\n"
    }
    for round in 0..<10 {
      try cluster.etcd.putRecords((0..<100).map { ("10.\(round).\($0).0-24", "198.18.\(round + 1).\($0 + 1)") })
    }
    #expect(try eventually(within: .seconds(30)) { try routes(1000) }, "\(agent.output)")
    // An agent that starts beside all records.
    agent.stop()
    try node.sh("ip route flush proto 202 && ip nexthop flush proto 202 || true")
    let second = try cluster.agent(0)
    #expect(try eventually(within: .seconds(30)) { try routes(1000) }, "\(second.output)")
    try cluster.etcd.ctl("del", "--prefix", "\(EtcdServer.prefix)/subnets/10.3.")
    #expect(try eventually(within: .seconds(30)) { try routes(900) }, "\(second.output)")
  }

  @Test func twentyAgentsAtOnceGetDistinctLeasesAndAllRoutes() throws {
    let count = 20
    // There are few more subnets than nodes, so that agents collide at first.
    let cluster = try EtcdCluster(
      count, config: #"{"Network": "10.244.0.0/16", "SubnetMin": "10.244.1.0", "SubnetMax": "10.244.24.0"}"#)
    let agents = try (0..<count).map { try cluster.agent($0) }
    #expect(
      try eventually(within: .seconds(60)) { try cluster.nodes.allSatisfy { try $0.subnetOfLease() != nil } })
    let subnets = try cluster.nodes.map { try $0.subnetOfLease() ?? "" }
    #expect(Set(subnets).count == count, "\(subnets)")
    #expect(try cluster.etcd.leases().count == count)
    for (index, node) in cluster.nodes.enumerated() {
      let others = (0..<count).filter { $0 != index }
      try node.expectRoutes(others.map { "\(subnets[$0]) via \(EtcdCluster.address($0))" }, agents[index])
    }
  }
}

/// More agents than a machine usually runs.
@Suite(
  .requiresRoot, .requiresTimeAndMemory, .timeLimit(.minutes(30)))
struct EtcdLargeScaleTests {
  @Test func twoHundredAgentsStartBesideFiveThousandLeases() throws {
    let count = 200
    let cluster = try EtcdCluster(
      0, config: #"{"Network": "10.0.0.0/8", "SubnetMin": "10.200.0.0", "SubnetMax": "10.200.255.0"}"#, hasIPv6: false)
    for round in 0..<50 {
      try cluster.etcd.putRecords(
        (0..<100).map { ("10.\(round).\($0).0-24", "198.18.\(round + 1).\($0 + 1)") })
    }
    let nodes = try (0..<count).map { index in
      let node = try TestNode()
      try cluster.segment.connect(node, addresses: ["192.0.2.\(index + 1)/24", "198.19.0.\(index + 1)/15"])
      return node
    }
    let agents = try nodes.map { try $0.start([Binaries.hostgw, "run"] + cluster.storeOptions) }
    #expect(try eventually(within: .seconds(600)) { try nodes.allSatisfy { try $0.subnetOfLease() != nil } })
    let subnets = try nodes.map { try $0.subnetOfLease() ?? "" }
    #expect(Set(subnets).count == count)
    #expect(try eventually(within: .seconds(60)) { try cluster.etcd.leaseCount() == 5000 + count })
    for (index, node) in nodes.enumerated() {
      #expect(
        try eventually(within: .seconds(300)) {
          try node.sh("ip route show proto 202 type unicast | wc -l") == "\(5000 + count - 1)\n"
        }, "\(agents[index].output.suffix(2000))")
    }
  }
}
