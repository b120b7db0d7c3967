import JSON
import Linux
import Testing
import TestSupport

/// The agent's output for probes, Prometheus and users.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct ViewTests {
  private static let port = "8474"
  private static let probes = ["--healthz-port", port]

  /// Status and body of an answer; status 0 if there is none.
  private func get(_ path: String, _ node: TestNode, host: String = "127.0.0.1") throws -> (status: Int, body: String) {
    let result = try node.run(
      ["curl", "-s", "--max-time", "5", "-w", "\n%{http_code}", "http://\(host):\(ViewTests.port)/\(path)"])
    let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
    return (Int(lines.last ?? "") ?? 0, lines.dropLast().joined(separator: "\n"))
  }

  private func metrics(_ node: TestNode) throws -> [String: Double] {
    var numbers: [String: Double] = [:]
    for line in try get("metrics", node).body.split(separator: "\n") where !line.hasPrefix("#") {
      let parts = line.split(separator: " ")
      if parts.count == 2 { numbers[String(parts[0])] = Double(parts[1]) }
    }
    return numbers
  }

  /// Checks the order of a start. containerd before 2.0 takes the network configuration as the sign that pods can
  /// start.
  @Test func routesPrecedeLeaseConflistAndReadiness() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("mv /etc/causeway/nodes.json /etc/causeway/later.json; echo '{}' >/etc/causeway/conf")
    let agent = try node.start(
      [
        Binaries.hostgw, "run", "--cni-conf-source", "/etc/causeway/conf", "--cni-conf-file",
        "/etc/cni/net.d/10-c.conflist",
      ]
        + ViewTests.probes)
    defer { agent.stop() }
    #expect(try eventually { try get("healthz", node).status == 200 }, "\(agent.output)")
    #expect(try eventually { try get("readyz", node).body.contains("nodes.json") }, "\(agent.output)")
    #expect(try get("readyz", node).status == 503)
    #expect(try node.run(["test", "-e", "/etc/cni/net.d"]).status != 0)
    // Whenever the configuration exists, lease and routes exist.
    let watcher = try node.start([
      "/bin/sh", "-c",
      "until test -e /etc/cni/net.d/10-c.conflist; do :; done; cat /run/causeway/subnet.env; ip route show proto 202",
    ])
    try node.sh("mv /etc/causeway/later.json /etc/causeway/nodes.json")
    #expect(try watcher.exitStatus() == 0)
    #expect(watcher.output.contains("FLANNEL_SUBNET=10.244.1.1/24") && watcher.output.contains("10.244.2.0/24"))
    #expect(try eventually { try get("readyz", node).status == 200 })
    #expect(try node.sh("cat /etc/cni/net.d/10-c.conflist") == "{}\n")
    // The next pass copies the changed source.
    try node.sh("echo '{\"a\": 1}' >/etc/causeway/conf; ip route del 10.244.2.0/24")
    #expect(try eventually { try node.sh("cat /etc/cni/net.d/10-c.conflist") == "{\"a\": 1}\n" })
  }

  @Test func aNodeWithoutItsConfigurationSourceIsNotReady() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let agent = try node.start(
      [Binaries.hostgw, "run", "--cni-conf-source", "/none", "--cni-conf-file", "/etc/cni/net.d/x"] + ViewTests.probes)
    defer { agent.stop() }
    #expect(try eventually { try get("readyz", node).body.contains("/none") }, "\(agent.output)")
    #expect(try get("readyz", node).status == 503)
    #expect(try node.podRoutes().count == 2)
  }

  @Test func metricsCountNodesRoutesAndRepairs() throws {
    let cluster = try Cluster(3)
    let node = cluster.nodes[0]
    let far: JSONValue = ["name": "far", "publicIP": "198.51.100.1", "subnet": "10.244.9.0/24"]
    try Cluster.write(Cluster.nodesFile(0..<3, more: [far]), to: node)
    let agent = try node.start([Binaries.hostgw, "run"] + ViewTests.probes)
    defer { agent.stop() }
    #expect(try eventually { try get("readyz", node).status == 200 }, "\(agent.output)")
    try node.addPod("a")
    let runtime = Runtime(node: node)
    try runtime.add("a", runtime.configuration(["ipam": .null]))
    var numbers = try metrics(node)
    #expect(numbers["causeway_nodes"] == 4 && numbers["causeway_routes_wanted"] == 5, "\(numbers)")
    #expect(numbers["causeway_routes_installed"] == 4 && numbers["causeway_routes_failed"] == 0)
    #expect(numbers["causeway_peers_off_link"] == 1 && numbers["causeway_store_up"] == 1)
    #expect(numbers["causeway_addresses_used{subnet=\"10.244.1.0/24\"}"] == 1)
    #expect(numbers["causeway_addresses_capacity{subnet=\"10.244.1.0/24\"}"] == 253)
    #expect(numbers["causeway_repairs_total"] == 0)
    try node.sh("ip route del 10.244.2.0/24")
    #expect(try eventually { try metrics(node)["causeway_repairs_total"] == 1 })
    // A foreign route in the place of a new one counts as failed. An unreadable file counts as store failure.
    try node.sh("ip route add 10.244.4.0/24 via 192.0.2.250")
    try Cluster.write(Cluster.nodesFile(0..<4), to: node)
    #expect(try eventually { try metrics(node)["causeway_routes_failed"] == 1 })
    try Cluster.write("broken", to: node)
    #expect(try eventually { try metrics(node)["causeway_store_up"] == 0 })
    numbers = try metrics(node)
    #expect(numbers["causeway_routes_wanted"] == 6 && numbers["causeway_ready"] == 1, "\(numbers)")
  }

  /// Checks the rules of `promtool check metrics`: each family is described once before its numbers, and counters end
  /// in _total.
  @Test func metricsHaveThePrometheusFormat() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let agent = try node.start([Binaries.hostgw, "run"] + ViewTests.probes)
    defer { agent.stop() }
    #expect(try eventually { try get("readyz", node).status == 200 }, "\(agent.output)")
    let answer = try node.run(["curl", "-si", "http://127.0.0.1:\(ViewTests.port)/metrics"]).output
    #expect(answer.lowercased().contains("content-type: text/plain; version=0.0.4"))
    var kinds: [String: String] = [:]
    var described: Set<String> = []
    var families: [String] = []
    for line in try get("metrics", node).body.split(separator: "\n") {
      let words = line.split(separator: " ").map { String($0) }
      if line.hasPrefix("# HELP ") {
        #expect(words.count > 4 && described.insert(words[2]).inserted, "\(line)")
      } else if line.hasPrefix("# TYPE ") {
        #expect(kinds.updateValue(words[3], forKey: words[2]) == nil && described.contains(words[2]), "\(line)")
        #expect(["counter", "gauge", "histogram"].contains(words[3]))
      } else {
        let name = String(line.prefix { $0 != "{" && $0 != " " })
        let family =
          ["_bucket", "_sum", "_count"].compactMap { name.hasSuffix($0) ? String(name.dropLast($0.count)) : nil }
          .first { kinds[$0] == "histogram" } ?? name
        let kind = try #require(kinds[family], "\(line)")
        #expect((kind == "counter") == family.hasSuffix("_total"), "\(line)")
        #expect(family.hasPrefix("causeway_") && Double(words.last ?? "") != nil, "\(line)")
        if families.last != family {
          #expect(!families.contains(family), "\(family) appears in two places")
          families.append(family)
        }
      }
    }
    #expect(Set(families) == Set(kinds.keys))
  }

  @Test func nothingListensByDefault() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    let agent = try node.start([Binaries.hostgw, "run"])
    defer { agent.stop() }
    #expect(try eventually { try node.run(["test", "-S", "/run/causeway/agent.sock"]).status == 0 })
    #expect(try node.sh("ss -Htlun") == "")
  }

  @Test func aPortInUseIsReported() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    let first = try node.start([Binaries.hostgw, "run", "--state-dir", "/run/first"] + ViewTests.probes)
    defer { first.stop() }
    #expect(try eventually { try node.sh("ss -Htln").contains(ViewTests.port) })
    let agent = try node.hostgw("run", "--healthz-port", ViewTests.port)
    #expect(agent.status == 1 && agent.errors.contains("--healthz-port"), "\(agent)")
    for bad in ["x", "-1", "65536"] {
      #expect(try node.hostgw("run", "--healthz-port=\(bad)").errors.contains("is no port"))
    }
  }

  @Test func statusShowsTheAgentsRepairs() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let agent = try node.start([Binaries.hostgw, "run", "--node-name", "node-a"])
    defer { agent.stop() }
    #expect(try eventually { try node.podRoutes().count == 2 }, "\(agent.output)")
    #expect(try eventually { try node.hostgw("status").output.contains("ready") })
    try node.sh("ip route del 10.244.2.0/24")
    // The agent's own options apply, not those of the caller.
    func status(_ more: String...) throws -> CommandResult {
      try node.run([Binaries.hostgw, "status", "--nodes-file", "/none"] + more)
    }
    #expect(
      try eventually { try status().output.contains("route added: 10.244.2.0/24 via 192.0.2.12 dev eth0 for node-b") })
    let text = try status().output
    #expect(text.contains("1 repair:") && !text.contains("\u{1B}"), "\(text)")
    let view = try #require(try JSONValue(parsing: Array(status("--json").output.utf8)).object)
    #expect(view["agent"]?.object?["repairs"] == 1 && view["agent"]?.object?["ready"] == true, "\(view)")
    #expect(view["peers"]?.array?.count == 2 && view["node"]?.string == "node-a")
    // Columns are aligned.
    let table = text.split(separator: "\n").drop { !$0.hasPrefix("NODE") }.map { String($0) }
    let heading = try #require(table.first)
    let column = try #require(heading.firstRange(of: "STATE")).lowerBound.utf16Offset(in: heading)
    for line in table.dropFirst() { #expect(line.dropFirst(column).hasPrefix("installed"), "\(text)") }
    agent.signal(9)
    _ = try agent.exitStatus()
    // The agent's socket remains without a listener.
    #expect(try status().status == 1)
    #expect(try node.hostgw("status").output.contains("Agent:   does not run"))
  }

  @Test func repairsOfRulesAreCounted() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let agent = try node.start([Binaries.hostgw, "run"] + ViewTests.probes)
    defer { agent.stop() }
    #expect(try eventually { try get("readyz", node).status == 200 }, "\(agent.output)")
    var numbers = try metrics(node)
    #expect(numbers["causeway_rule_repairs_total"] == 0 && numbers["causeway_rule_drift"] == 0, "\(numbers)")
    try node.sh("nft delete table inet causeway")
    #expect(try eventually { try metrics(node)["causeway_rule_repairs_total"] == 1 }, "\(agent.output)")
    numbers = try metrics(node)
    #expect(numbers["causeway_repairs_total"] == 0 && numbers["causeway_rule_drift"] == 0, "\(numbers)")
    let text = try node.hostgw("status").output
    #expect(text.contains("table repaired: inet causeway") && text.contains("1 repair:"), "\(text)")
    #expect(text.contains("Rules:   no masquerade, forwarding accepted; table inet causeway installed"), "\(text)")
  }

  /// Checks metrics, readiness and status of the etcd store and the lease.
  @Test(.timeLimit(.minutes(2))) func storeAndLeaseAreShown() throws {
    let cluster = try EtcdCluster(1)
    let node = cluster.nodes[0]
    let start = MonotonicTime.sinceEpoch
    let agent = try cluster.agent(0, "--healthz-port", ViewTests.port, "--subnet-lease-ttl", "15s")
    defer { agent.stop() }
    func status(_ more: String...) throws -> String { try node.run([Binaries.hostgw, "status"] + more).output }
    func view() throws -> JSONObject { try JSONValue(parsing: Array(status("--json").utf8)).object ?? [:] }
    #expect(try eventually(within: .seconds(30)) { try get("readyz", node).status == 200 }, "\(agent.output)")
    let numbers = try metrics(node)
    #expect(numbers["causeway_store_up"] == 1 && numbers["causeway_lease_held"] == 1, "\(numbers)")
    #expect(numbers["causeway_store_revision"] ?? 0 > 1, "\(numbers)")
    let expiry = try #require(numbers["causeway_lease_expiry_timestamp_seconds"])
    #expect(expiry > Double(start.components.seconds), "\(numbers)")
    let held = try view()
    #expect(held["store"]?.object?["kind"] == "etcd" && held["store"]?.object?["connected"] == true, "\(held)")
    #expect(held["lease"]?.object?["state"] == "held", "\(held)")
    #expect(try status().contains("held until 20"))
    // Without etcd the lease expires.
    cluster.etcd.stop(0)
    #expect(try eventually(within: .seconds(30)) { try metrics(node)["causeway_store_up"] == 0 }, "\(agent.output)")
    #expect(try eventually(within: .seconds(60)) { try get("readyz", node).status == 503 }, "\(agent.output)")
    #expect(try get("readyz", node).body.contains("has run out"))
    #expect(try metrics(node)["causeway_lease_held"] == 0)
    let lost = try view()
    #expect(lost["lease"]?.object?["state"] == "lost" && lost["agent"]?.object?["ready"] == false, "\(lost)")
    // The node still serves pods on it.
    #expect(try node.subnetOfLease() != nil)
    #expect(try status().contains("not connected"))
  }

  @Test func statusOnATerminalHasColor() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.hostgw("sync").succeeded()
    func status(_ setting: String) throws -> String {
      try node.sh("\(setting) script -qec '\(Binaries.hostgw) status' /dev/null")
    }
    #expect(try status("TERM=xterm").contains("\u{1B}[32minstalled\u{1B}[0m"))
    #expect(try !status("NO_COLOR=1").contains("\u{1B}"))
  }

  @Test func thePluginWarnsOfAMissingAgent() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    let runtime = Runtime(node: node)
    let configuration = runtime.configuration(["ipam": .null])
    for pod in ["a", "b"] { try node.addPod(pod) }
    let agent = try node.start([Binaries.hostgw, "run"])
    #expect(try eventually { try node.run(["test", "-e", "/run/causeway/subnet.env"]).status == 0 })
    #expect(try runtime.add("a", configuration).process.errors == "")
    agent.stop()
    #expect(try runtime.add("b", configuration).process.errors.contains("causeway-hostgw run is not at work"))
    try runtime.call("STATUS", nil, configuration: configuration).process.succeeded()
  }
}
