import JSON
import Testing
import TestSupport

/// What `status` and `/metrics` report about the fast path.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct FastPathStatusTests {
  private static let reasons = [
    "carried", "no-pod", "no-peer", "protocol", "options", "hop-limit", "size", "handshake", "new", "translated",
    "refresh",
  ]

  @Test(arguments: ["conntrack", "sight"]) func anAgentReportsItsFastPath(_ flows: String) throws {
    let cluster = try FastPathCluster(options: ["--fast-path-flows", flows, "--healthz-port", "8474"])
    let node = cluster.nodes[0]
    _ = try cluster.addPod(0)
    let other = try #require(try cluster.addPod(1).first)
    try node.run(inPod: "pod", ["ping", "-nc", "20", "-i", "0.02", "-W", "5", other]).succeeded()
    let isSeen = try eventually { try cluster.status(0)["fastPath"]?.object?["addresses"] == 2 }
    #expect(isSeen, "\(cluster.agents[0].output)")

    let fastPath = try #require(try cluster.status(0)["fastPath"]?.object)
    #expect(
      fastPath.members.map(\.name) == [
        "state", "flows", "reason", "peers", "addresses", "limitedPods", "repairs", "from-pod", "to-pod",
      ])
    #expect(fastPath["state"] == "on" && fastPath["flows"]?.string == flows && fastPath["reason"] == .null)
    #expect(fastPath["peers"] == 2 && fastPath["limitedPods"] == 0 && fastPath["repairs"] == 0)
    for direction in ["from-pod", "to-pod"] {
      let counts = try #require(fastPath[direction]?.object)
      #expect(counts.members.map(\.name) == FastPathStatusTests.reasons)
      let carried = try #require(counts["carried"]?.object)
      guard case .integer(let packets)? = carried["packets"], case .integer(let bytes)? = carried["bytes"] else {
        Issue.record("\(counts)")
        continue
      }
      // A ping packet has 84 bytes, its frame 98.
      #expect(packets >= 15 && bytes == packets * 98, "\(packets) \(bytes)")
    }

    let line = try node.lines("\(Binaries.hostgw) status --node-name node-a | grep '^Fast:'")
    let pattern =
      #/Fast:    on, flows known by (conntrack|sight); from pods \d+ of \d+ packets carried, to pods \d+ of \d+ packets carried/#
    #expect(try line.count == 1 && pattern.wholeMatch(in: line[0])?.1 == flows[...], "\(line)")

    let metrics = try node.lines("curl -s http://127.0.0.1:8474/metrics | grep causeway_fast_path")
    for line in [
      "# TYPE causeway_fast_path_up gauge", "causeway_fast_path_up 1", "# TYPE causeway_fast_path_addresses gauge",
      "causeway_fast_path_addresses 2", "# TYPE causeway_fast_path_repairs_total counter",
      "causeway_fast_path_repairs_total 0", "# TYPE causeway_fast_path_packets_total counter",
      "# TYPE causeway_fast_path_bytes_total counter",
    ] {
      #expect(metrics.contains(line), "\(line) in \(metrics)")
    }
    for (metric, direction) in [
      ("packets", "from-pod"), ("bytes", "from-pod"), ("packets", "to-pod"), ("bytes", "to-pod"),
    ] {
      for reason in FastPathStatusTests.reasons {
        let name = "causeway_fast_path_\(metric)_total{direction=\"\(direction)\",reason=\"\(reason)\"} "
        let value = try #require(metrics.first { $0.hasPrefix(name) }, "\(name) in \(metrics)").dropFirst(name.count)
        let number = try #require(Double(value))
        if reason == "carried" { #expect(number >= 15) }
      }
    }
  }

  /// `status` reads the counts from the kernel, so it shows them without an agent; without a fast path it shows none.
  @Test func statusShowsTheCountsWithoutAnAgent() throws {
    let cluster = try FastPathCluster(1)
    let node = cluster.nodes[0]
    cluster.stopAgent(0)
    let fastPath = try #require(try cluster.status(0)["fastPath"]?.object)
    #expect(fastPath["state"] == "on" && fastPath["from-pod"]?.object?["carried"]?.object?["packets"] == 0)
    #expect(
      try node.hostgw("status", "--node-name", "node-a").output.contains(
        "Fast:    on; from pods 0 of 0 packets carried")
    )
    try node.hostgw("sync", "--node-name", "node-a", "--fast-path", "off").succeeded()
    #expect(try cluster.status(0)["fastPath"] == .null)
    #expect(try !node.hostgw("status", "--node-name", "node-a").output.contains("Fast:"))
  }

  /// Without `--fast-path` no output mentions the fast path.
  @Test func withoutFastPathNothingIsReported() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let agent = try node.start([Binaries.hostgw, "run", "--node-name", "node-a", "--healthz-port", "8474"])
    #expect(try eventually { try node.run(["curl", "-s", "http://127.0.0.1:8474/readyz"]).output == "ok\n" })
    #expect(try !node.sh("curl -s http://127.0.0.1:8474/metrics").contains("fast_path"))
    #expect(!agent.output.contains("fast path"), "\(agent.output)")
    #expect(try !node.hostgw("status", "--node-name", "node-a").output.contains("Fast:"))
    #expect(try node.sh("cat /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal") == "0\n")
  }
}
