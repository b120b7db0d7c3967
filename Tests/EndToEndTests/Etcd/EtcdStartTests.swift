import JSON
import Linux
import Testing
import TestSupport

/// Agents that start while etcd is down, and watches that resume after it was.
@Suite(.requiresRoot, .timeLimit(.minutes(5)))
struct EtcdStartTests {
  private static let routes = ["10.244.2.0/24 via 192.0.2.12", "10.244.3.0/24 via 192.0.2.13"]
  private static let placement = ["--cni-conf-source", "/etc/causeway/c", "--cni-conf-file", "/etc/cni/net.d/c"]

  /// A node with routes and a lease. Its agent and etcd are both down.
  private func cluster() throws -> (cluster: EtcdCluster, subnet: String) {
    let cluster = try EtcdCluster(1)
    try cluster.etcd.putRecord("10.244.2.0-24", of: "192.0.2.12")
    try cluster.etcd.putRecord("10.244.3.0-24", of: "192.0.2.13")
    let (agent, subnet) = try cluster.agentWithLease(0)
    try cluster.nodes[0].expectRoutes(EtcdStartTests.routes, agent)
    agent.stop()
    cluster.etcd.stop(0)
    try cluster.nodes[0].sh("echo '{}' >/etc/causeway/c && mkdir -p /etc/cni/net.d")
    return (cluster, subnet)
  }

  private func start(_ cluster: EtcdCluster) throws -> RunningProgram {
    try cluster.nodes[0].start([Binaries.hostgw, "run"] + cluster.storeOptions + EtcdStartTests.placement)
  }

  private func expectServed(_ cluster: EtcdCluster, _ subnet: String, _ agent: RunningProgram) throws {
    let node = cluster.nodes[0]
    let isServed = try eventually(within: .seconds(20)) {
      try node.subnetOfLease() == subnet && node.run(["test", "-e", "/etc/cni/net.d/c"]).status == 0
        && node.run(["nft", "list", "table", "inet", "causeway"]).status == 0
    }
    #expect(isServed, "\(agent.output)")
    #expect(try eventually { try cluster.leaseState(0) == "unconfirmed" }, "\(agent.output)")
    let status = try node.run([Binaries.hostgw, "status"] + cluster.storeOptions).output
    #expect(status.contains("not connected") && status.contains("goes on with its last lease"), "\(status)")
  }

  @Test func lastLeaseAndPresentRoutesServeUntilEtcdAnswers() throws {
    let (cluster, subnet) = try cluster()
    let node = cluster.nodes[0]
    try node.sh("nft delete table inet causeway")
    let agent = try start(cluster)
    try expectServed(cluster, subnet, agent)
    #expect(try node.podRoutes() == EtcdStartTests.routes)
    // Lost routes are repaired from those found at the start.
    try node.sh("ip route del 10.244.2.0/24")
    try node.expectRoutes(EtcdStartTests.routes, agent)
    // Then etcd's records replace them.
    try cluster.etcd.start(0)
    try cluster.etcd.waitUntilHealthy()
    try cluster.etcd.deleteRecord("10.244.2.0-24")
    try cluster.etcd.putRecord("10.244.4.0-24", of: "192.0.2.14")
    try node.expectRoutes(
      ["10.244.3.0/24 via 192.0.2.13", "10.244.4.0/24 via 192.0.2.14"], agent, within: .seconds(30))
    #expect(try eventually { try cluster.leaseState(0) == "held" } && node.subnetOfLease() == subnet)
    #expect(try cluster.etcd.leases().count { $0.value == EtcdServer.value("192.0.2.11") } == 1)
  }

  @Test func afterARebootTheCopyServesUntilEtcdAnswers() throws {
    let (cluster, subnet) = try cluster()
    let node = cluster.nodes[0]
    try node.sh(
      "rm -r /run/causeway; { ip nexthop flush proto 202; ip route flush proto 202; } || true; nft delete table inet causeway"
    )
    let agent = try start(cluster)
    try expectServed(cluster, subnet, agent)
    #expect(try node.podRoutes().isEmpty)
    try cluster.etcd.start(0)
    try cluster.etcd.waitUntilHealthy()
    try node.expectRoutes(EtcdStartTests.routes, agent, within: .seconds(30))
    #expect(try eventually { try cluster.leaseState(0) == "held" } && node.subnetOfLease() == subnet)
  }

  @Test func anEndedWatchResumesWithoutAFullRead() throws {
    let cluster = try EtcdCluster(3, hasIPv6: false)
    let agents = try (0..<3).map { try cluster.agentWithLease($0) }
    try cluster.etcd.putRecord("10.244.2.0-24", of: "192.0.2.50")
    for index in 0..<3 {
      #expect(
        try eventually { try cluster.nodes[index].podRoutes().contains("10.244.2.0/24 via 192.0.2.50") },
        "\(agents[index].agent.output)")
    }
    cluster.etcd.stop(0)
    for (agent, _) in agents {
      #expect(eventually(within: .seconds(20)) { agent.output.contains("can't be read") }, "\(agent.output)")
    }
    try cluster.etcd.start(0)
    try cluster.etcd.waitUntilHealthy()
    // One record is created and one deleted before the agents watch again, and one is created later.
    try cluster.etcd.putRecord("10.244.3.0-24", of: "192.0.2.51")
    try cluster.etcd.deleteRecord("10.244.2.0-24")
    for index in 0..<3 {
      #expect(
        try eventually(within: .seconds(30)) {
          let routes = try cluster.nodes[index].podRoutes()
          return routes.contains("10.244.3.0/24 via 192.0.2.51") && !routes.contains("10.244.2.0/24 via 192.0.2.50")
        }, "\(agents[index].agent.output)")
    }
    try cluster.etcd.putRecord("10.244.4.0-24", of: "192.0.2.52")
    for index in 0..<3 {
      #expect(
        try eventually { try cluster.nodes[index].podRoutes().contains("10.244.4.0/24 via 192.0.2.52") },
        "\(agents[index].agent.output)")
    }
    // Each full read is a transaction, as is each change of a lease.
    #expect(try cluster.etcd.calls("Txn") == 0)
    // After a compaction of the missed events everything is read again.
    cluster.etcd.stop(0)
    for (agent, _) in agents { agent.signal(19) }
    try cluster.etcd.start(0)
    try cluster.etcd.waitUntilHealthy()
    try cluster.etcd.deleteRecord("10.244.4.0-24")
    try cluster.etcd.compact()
    for (agent, _) in agents { agent.signal(18) }
    for index in 0..<3 {
      #expect(
        try eventually(within: .seconds(30)) {
          try !cluster.nodes[index].podRoutes().contains("10.244.4.0/24 via 192.0.2.52")
        }, "\(agents[index].agent.output)")
    }
    #expect(try cluster.etcd.calls("Txn") >= 3)
  }

  /// Delays each piece of an answer by `/run/delay` seconds.
  private static let slowProxy = """
    cat >/run/slow <<'X'
    #!/bin/sh
    piece=$(mktemp -p /run)
    busybox nc 127.0.0.1 2379 | while dd bs=65536 count=1 of="$piece" 2>/dev/null && [ -s "$piece" ]; do
      sleep "$(cat /run/delay)"
      cat "$piece"
    done
    X
    chmod +x /run/slow
    echo 0.8 >/run/delay
    """

  @Test func slowAnswersAreAwaitedAndTooSlowOnesReported() throws {
    let cluster = try EtcdCluster(1)
    let node = cluster.nodes[0]
    let member = cluster.etcd.members[0]
    try member.sh(EtcdStartTests.slowProxy)
    let proxy = try member.start(["busybox", "nc", "-ll", "-p", "2390", "-e", "/run/slow"])
    try cluster.etcd.putRecord("10.244.2.0-24", of: "192.0.2.12")
    let agent = try node.start([
      Binaries.hostgw, "run", "--store", "etcd", "--etcd-endpoints", "http://192.0.2.201:2390", "--iface", "eth0",
    ])
    _ = try eventually(within: .seconds(60)) { try node.subnetOfLease() != nil }
    let subnet = try cluster.subnet(0, agent)
    try node.expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent, within: .seconds(30))
    try cluster.etcd.putRecord("10.244.3.0-24", of: "192.0.2.13")
    try node.expectRoutes(EtcdStartTests.routes, agent, within: .seconds(30))
    #expect(try cluster.etcd.leases().count == 3, "\(agent.output)")
    // Longer than the time limit of an answer, for a running and for a starting agent.
    try member.sh("echo 7 >/run/delay")
    agent.stop()
    let late = try node.start([
      Binaries.hostgw, "run", "--store", "etcd", "--etcd-endpoints", "http://192.0.2.201:2390", "--iface", "eth0",
    ])
    #expect(eventually(within: .seconds(30)) { late.output.contains("can't be read") }, "\(late.output)")
    #expect(try node.podRoutes() == EtcdStartTests.routes && node.subnetOfLease() == subnet)
    try member.sh("echo 0.1 >/run/delay")
    try cluster.etcd.putRecord("10.244.4.0-24", of: "192.0.2.14")
    try node.expectRoutes(
      EtcdStartTests.routes + ["10.244.4.0/24 via 192.0.2.14"], late, within: .seconds(40))
    #expect(try cluster.etcd.leases().count == 4 && node.subnetOfLease() == subnet && proxy.isRunning)
  }

  /// Drops the answer to the next write while `/run/lose` exists.
  private static let losingProxy = """
    cat >/run/losing <<'X'
    #!/bin/sh
    asked=$(mktemp -p /run)
    piece=$(mktemp -p /run)
    tee "$asked" | busybox nc 127.0.0.1 2379 | while dd bs=65536 count=1 of="$piece" 2>/dev/null && [ -s "$piece" ]; do
      # tee writes to etcd first.
      sleep 0.2
      if [ -e /run/lose ] && grep -q request_put "$asked"; then
        mv /run/lose /run/lost
        continue
      fi
      cat "$piece"
    done
    X
    chmod +x /run/losing
    touch /run/lose
    """

  @Test func aClaimWhoseAnswerIsLostIsNotRepeated() throws {
    let cluster = try EtcdCluster(1, hasIPv6: false)
    let member = cluster.etcd.members[0]
    try member.sh(EtcdStartTests.losingProxy)
    let proxy = try member.start(["busybox", "nc", "-ll", "-p", "2390", "-e", "/run/losing"])
    let agent = try cluster.nodes[0].start([
      Binaries.hostgw, "run", "--store", "etcd", "--etcd-endpoints", "http://192.0.2.201:2390", "--iface", "eth0",
    ])
    let subnet = try cluster.subnet(0, agent)
    #expect(try member.run(["test", "-e", "/run/lost"]).status == 0 && proxy.isRunning, "\(agent.output)")
    #expect(try cluster.etcd.leases().map(\.key) == [keyName(subnet)], "\(agent.output)")
  }
}
