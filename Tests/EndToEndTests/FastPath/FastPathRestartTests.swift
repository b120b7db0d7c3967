import JSON
import Testing
import TestSupport

/// Flows continue to be carried while agents stop, restart or are missing, and use the ordinary path once it is
/// switched off.
@Suite(.requiresRoot, .timeLimit(.minutes(4)))
struct FastPathRestartTests {
  /// With each value of `--fast-path-flows`, and from the one to the other.
  @Test(
    arguments: [([], []), (["--fast-path-flows", "sight"], []), ([], ["--fast-path-flows", "sight"])]
      as [([String], [String])])
  func anAgentTakesOverWithoutPacketLoss(_ before: [String], _ after: [String]) throws {
    var cluster = try FastPathCluster(options: before)
    _ = try cluster.addPod(0)
    let addresses = try cluster.addPod(1)
    let pings = try addresses.map { try SteadyPing(cluster.nodes[0], from: "pod", $0) }
    #expect(try eventually { try cluster.packets(0, "from-pod") > 20 })
    let maps = try cluster.nodes[0].mapNumbers()
    for index in [0, 1, 0] {
      let carried = try cluster.packets(index, "from-pod")
      try cluster.restart(index, ["--fast-path", "on"] + after)
      // The counts continue.
      #expect(try cluster.packets(index, "from-pod") >= carried)
    }
    #expect(try cluster.nodes[0].mapNumbers() == maps)
    let flows = after.isEmpty ? "conntrack" : "sight"
    #expect(try cluster.status(0)["fastPath"]?.object?["flows"]?.string == flows)
    // Programs that have not changed are not loaded again.
    let isSame = before == after
    #expect(cluster.agents[0].output.contains("fast path loaded") == false || !isSame, "\(cluster.agents[0].output)")
    let carried = try cluster.packets(0, "from-pod")
    #expect(try eventually { try cluster.packets(0, "from-pod") > carried + 20 })
    for ping in pings {
      let (sent, lost) = try ping.lost()
      #expect(lost == 0, "\(lost) of \(sent)")
    }
  }

  @Test func aTransferContinuesThroughRestartsAndWithoutAgents() throws {
    var cluster = try FastPathCluster()
    let client = try #require(try cluster.addPod(0).first)
    let host = try #require(try cluster.addPod(1).first)
    #expect(client != host)
    let pods = cluster.nodes.map { Traffic(node: $0, pod: "pod") }
    let server = try pods[1].serve(name: "server")
    let transfer = try pods[0].startTransfer(to: host)
    try transfer.waitForMore(than: 1_000_000)
    for index in 0..<2 { try cluster.restart(index, ["--fast-path", "on", "--fast-path-flows", "sight"]) }
    try transfer.waitForMore(than: 1_000_000)
    // With `sight`, the flow is carried again after both directions were seen on the ordinary path.
    for agent in cluster.agents {
      agent.signal(15)
      #expect(try agent.exitStatus() == 0, "\(agent.output)")
    }
    let carried = try cluster.packets(0, "from-pod")
    try transfer.waitForMore(than: 1_000_000)
    #expect(try eventually { try cluster.packets(0, "from-pod") > carried + 100 })
    for index in 0..<2 { try cluster.restart(index, ["--fast-path", "off"]) }
    #expect(try eventually { try cluster.nodes[0].fastPathRemains() == [] })
    try transfer.waitForMore(than: 1_000_000)
    for index in 0..<2 { try cluster.restart(index, ["--fast-path", "on"]) }
    // The agent attaches the programs to existing pods.
    #expect(
      try eventually(within: .seconds(30)) { try cluster.packets(0, "from-pod") > 100 }, "\(cluster.agents[0].output)")
    try transfer.waitForMore(than: 1_000_000)
    try transfer.endTransfer()
    #expect(server.isRunning)
  }

  /// The plugin attaches the programs by itself.
  @Test func podsAddedWithoutAgentAreCarried() throws {
    let cluster = try FastPathCluster()
    cluster.stopAgent(0)
    try cluster.nodes[0].addPod("pod")
    try Runtime(node: cluster.nodes[0]).add(
      "pod", ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "capabilities": ["bandwidth": true]])
    #expect(try cluster.nodes[0].entries("pods").count == 2)
    let other = try #require(try cluster.addPod(1).first)
    try cluster.nodes[0].expectCarriedPings(to: other) { try cluster.packets(0, "from-pod") }
  }

  /// `sync` as the plugin runs it.
  @Test func theHandOffLoadsTheFastPath() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("mount -t bpf bpf /sys/fs/bpf; cp \(Binaries.hostgw) /opt/cni/bin/; ip netns add pod")
    var runtime = Runtime(node: node)
    runtime.searchPath = "/opt/cni/bin"
    try runtime.add(
      "pod",
      [
        "cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "capabilities": ["bandwidth": true],
        "hostgw": ["node-name": "node-a", "fast-path": "auto"],
      ])
    #expect(try node.programNames("eth0") == TestNode.nodePrograms)
    #expect(try node.programNames(node.hostVeth()) == TestNode.podPrograms)
    #expect(try node.entries("pods").count == 2)
  }

  /// A second agent reports that one is running, and replaces nothing.
  @Test func aSecondAgentChangesNothing() throws {
    let cluster = try FastPathCluster(1)
    let programs = try cluster.nodes[0].lines("bpftool prog show pinned /sys/fs/bpf/causeway/from_pod")
    let second = try cluster.agent(0, ["--fast-path", "on", "--fast-path-flows", "sight"])
    #expect(try second.exitStatus() == 1)
    #expect(second.output.contains("is at work on this node"), "\(second.output)")
    #expect(try cluster.nodes[0].lines("bpftool prog show pinned /sys/fs/bpf/causeway/from_pod") == programs)
  }
}
