import JSON
import Testing
import TestSupport

/// The helper's rules, maintained by the agent and by `sync`, beside those of the plugin and of others.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct NodeRulesTests {
  private func table(_ node: TestNode, _ name: String = "inet causeway") throws -> String {
    try node.run(["nft", "-s", "list", "table"] + name.split(separator: " ").map { String($0) }).output
  }

  /// A node of a cluster of two, with a pod that has rules.
  private func nodeWithPod(_ options: String...) throws -> (cluster: Cluster, node: TestNode, runtime: Runtime) {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.run([Binaries.hostgw, "sync"] + options).succeeded()
    try node.addPod("a")
    let runtime = Runtime(node: node)
    try runtime.add("a", runtime.configuration(["ipam": .null, "ipMasq": true, "macspoofchk": true]))
    return (cluster, node, runtime)
  }

  @Test func theAgentRepairsDamagedRules() throws {
    let (cluster, node, _) = try nodeWithPod()
    let agent = try node.start([Binaries.hostgw, "run", "--ip-masq", "--forward-insert"])
    defer { agent.stop() }
    #expect(try eventually { try table(node).contains("masquerade fully-random") }, "\(agent.output)")
    let whole = try table(node)
    let pods = try (table(node, "inet causeway_pods"), table(node, "bridge causeway"))
    #expect(pods.0.contains("10.244.1.2") && pods.1.contains("senders"))
    for damage in [
      "nft flush table inet causeway", "nft delete table inet causeway",
      "nft delete rule inet causeway leaving4 handle $(nft -a list chain inet causeway leaving4 | sed -n 's/.*masq.*handle //p')",
      "nft 'delete element inet causeway nodes4 { 192.0.2.12 }'",
    ] {
      try node.sh(damage)
      #expect(try eventually { try table(node) == whole }, "\(damage)\n\(agent.output)")
    }
    #expect(agent.output.contains("table repaired") && agent.output.contains("inet causeway"), "\(agent.output)")
    // Rules in foreign chains are inserted and repaired too.
    try node.sh("iptables -P FORWARD DROP")
    let accepts = {
      try node.sh("iptables -S FORWARD").split(separator: "\n").filter { $0.contains("causeway-hostgw") }
    }
    #expect(try eventually { try accepts().count == 2 }, "\(agent.output)")
    try node.sh("iptables -F FORWARD")
    #expect(try eventually { try accepts().count == 2 }, "\(agent.output)")
    // A new node is added to the sets.
    try Cluster.write(Cluster.nodesFile(0..<3), to: node)
    #expect(try eventually { try table(node).contains("192.0.2.13") }, "\(agent.output)")
    // The rules outlive the agent, and the next agent takes them over.
    agent.signal(15)
    #expect(try agent.exitStatus() == 0)
    #expect(try table(node).contains("192.0.2.13") && accepts().count == 2)
    let next = try node.start([Binaries.hostgw, "run", "--ip-masq"])
    defer { next.stop() }
    #expect(try eventually { try accepts().isEmpty }, "\(next.output)")
    #expect(!next.output.contains("table "), "the table was changed: \(next.output)")
    #expect(try table(node, "inet causeway_pods") == pods.0)
    #expect(try table(node, "bridge causeway") == pods.1)
    try node.sh("iptables -P FORWARD ACCEPT")
    #expect(try node.ping(from: "a", "192.0.2.12"))
    _ = cluster
  }

  @Test func disabledOptionsRemoveTheirRulesAndRoutes() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.hostgw("sync", "--ip-masq").succeeded()
    #expect(try table(node).contains("leaving6") && table(node).contains("hook forward"))
    #expect(try node.blackholes() == ["10.244.1.0/24", "fd00:10:244:1::/64"])
    #expect(try node.sh("cat /run/causeway/subnet.env").contains("FLANNEL_IPMASQ=true"))
    try node.hostgw("sync").succeeded()
    #expect(try !table(node).contains("masquerade"))
    #expect(try node.sh("cat /run/causeway/subnet.env").contains("FLANNEL_IPMASQ=false"))
    try node.run(
      [Binaries.hostgw, "sync"],
      environment: ["CAUSEWAY_FORWARD_RULES": "false", "CAUSEWAY_BLACKHOLE_ROUTE": "false"]
    ).succeeded()
    #expect(try table(node) == "" && node.blackholes() == [])
    #expect(try node.podRoutes().count == 2)
  }

  @Test func statusShowsTheRules() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let rules = { (options: [String]) in
      let json = try node.run([Binaries.hostgw, "status", "--json"] + options).output
      return try JSONValue(parsing: Array(json.utf8)).object
    }
    #expect(try rules(["--ip-masq"])?["rules"]?.object?["state"] == "missing")
    try node.hostgw("sync", "--ip-masq").succeeded()
    let whole = try table(node)
    let reported = try rules(["--ip-masq"])?["rules"]
    #expect(
      reported == ["table": "inet causeway", "state": "installed", "masquerade": "fully-random", "forward": true],
      "\(String(describing: reported))")
    try node.sh("nft add rule inet causeway leaving4 drop; iptables -P FORWARD DROP")
    let text = try node.hostgw("status", "--ip-masq").output
    #expect(text.contains("table inet causeway changed") && text.contains("ip filter FORWARD"), "\(text)")
    #expect(try rules(["--ip-masq"])?["errors"]?.array?.count == 1)
    // `status` has changed nothing.
    #expect(try table(node) != whole)
    let sync = try node.hostgw("sync", "--ip-masq")
    #expect(sync.status == 1 && sync.output.contains("--forward-insert"), "\(sync)")
    #expect(try table(node) == whole)
    // A user without the right to read rules sees everything else.
    let user = try node.run(["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", Binaries.hostgw, "status"])
    #expect(user.status == 0 && user.output.contains("try as root") && user.output.contains("node-b"), "\(user)")
  }

  /// Sets a dropping policy, as Docker does, and checks with packets that `--forward-insert` lets pods pass.
  @Test func podsPassADroppingPolicy() throws {
    let cluster = try Cluster(2)
    for node in cluster.nodes {
      try node.hostgw("sync").succeeded()
      try node.addPod("a")
      let runtime = Runtime(node: node)
      try runtime.add("a", runtime.configuration(["ipam": .null]))
    }
    let node = cluster.nodes[0]
    try node.sh("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP; iptables -A FORWARD -d 10.244.2.9 -j DROP")
    #expect(try !node.ping(from: "a", "10.244.2.2", within: 2))
    let refused = try node.hostgw("sync")
    #expect(
      refused.status == 1 && refused.output.contains("ip filter FORWARD")
        && refused.output.contains("ip6 filter FORWARD"))
    try node.hostgw("sync", "--forward-insert").succeeded()
    #expect(try node.ping(from: "a", "10.244.2.2") && node.ping(from: "a", "fd00:10:244:2::2"))
    let chain = try node.sh("iptables -S FORWARD").split(separator: "\n")
    #expect(chain.count == 4 && chain[1] == "-A FORWARD -d 10.244.2.9/32 -j DROP", "\(chain)")
    try node.hostgw("clean").succeeded()
    #expect(try node.sh("iptables -S FORWARD").split(separator: "\n") == Array(chain.prefix(2)))
  }

  /// Uses the legacy tables, of which only the names can be read. `sync` reports them and succeeds.
  @Test func legacyTablesAreReported() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    // The kernel may lack the legacy tables.
    guard try node.run(["iptables-legacy", "-P", "FORWARD", "DROP"]).status == 0 else { return }
    let sync = try node.hostgw("sync", "--take-over-flannel").succeeded()
    #expect(sync.output.contains("iptables-legacy -S FORWARD") && !sync.output.contains("ip6tables-legacy"), "\(sync)")
    #expect(!sync.output.contains("nat table"))
    try node.sh("iptables-legacy -t nat -N FLANNEL-POSTRTG")
    #expect(try node.hostgw("sync", "--take-over-flannel").succeeded().output.contains("iptables-legacy -t nat -S"))
    #expect(try node.hostgw("sync", "--forward-rules=false").succeeded().output.contains("legacy") == false)
  }

  @Test func cleanLeavesForeignState() throws {
    let (cluster, node, runtime) = try nodeWithPod("--ip-masq")
    try node.sh(
      """
      nft add table inet other
      ip route add blackhole 10.244.1.0/24 metric 7
      ip route add blackhole 198.18.0.0/15 proto 203
      """)
    let refused = try node.hostgw("clean", "--pods")
    #expect(refused.status == 1 && refused.errors.contains("podnet:a:eth0"), "\(refused)")
    #expect(try table(node).contains("leaving4") && node.podRoutes().count == 2)
    try node.hostgw("clean").succeeded()
    #expect(try table(node) == "" && node.blackholes() == [] && node.podRoutes() == [])
    #expect(try table(node, "inet causeway_pods").contains("10.244.1.2"))
    #expect(try node.lines("ip route show type blackhole").count == 2 && node.leases().count == 2)
    // The pod is lost without DEL; `--pods` removes its state.
    try node.sh("ip link delete \(node.hostVeths()[0])")
    try node.sh("mkdir -p /var/lib/cni/networks/other && printf 'x\\r\\neth0' >/var/lib/cni/networks/other/10.9.9.9")
    let clean = try node.hostgw("clean", "--pods").succeeded()
    #expect(clean.output.contains("addresses freed: 2"), "\(clean)")
    #expect(try node.sh("nft list tables") == "table inet other\n")
    #expect(try node.leases() == ["/var/lib/cni/networks/other/10.9.9.9"] && node.records() == [])
    _ = (cluster, runtime)
  }
}
