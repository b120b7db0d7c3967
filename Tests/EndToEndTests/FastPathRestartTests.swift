import JSON
import TestSupport
import Testing

/// Packets are carried on whoever stops, restarts or is killed; and everything goes the ordinary way when it is told to.
@Suite(.requiresRoot, .timeLimit(.minutes(4)))
struct FastPathRestartTests {
  /// Both ways of knowing flows, and from the one to the other.
  @Test(
    arguments: [([], []), (["--fast-path-flows", "sight"], []), ([], ["--fast-path-flows", "sight"])]
      as [([String], [String])])
  func anAgentTakesOverWithoutALostPacket(_ before: [String], _ after: [String]) throws {
    var cluster = try FastPathCluster(options: before)
    _ = try cluster.addPod(0)
    let addresses = try cluster.addPod(1)
    let pings = try addresses.map { try SteadyPing(cluster.nodes[0], from: "pod", $0) }
    #expect(try eventually { try cluster.packets(0, "from-pod") > 20 })
    let maps = try cluster.nodes[0].mapNumbers()
    for index in [0, 1, 0] {
      let carried = try cluster.packets(index, "from-pod")
      try cluster.restart(index, ["--fast-path", "on"] + after)
      // They go on where they were.
      #expect(try cluster.packets(index, "from-pod") >= carried)
    }
    #expect(try cluster.nodes[0].mapNumbers() == maps)
    let flows = after.isEmpty ? "conntrack" : "sight"
    #expect(try cluster.status(0)["fastPath"]?.object?["flows"]?.string == flows)
    // Programs that are the same stay.
    let isSame = before == after
    #expect(cluster.agents[0].output.contains("fast path loaded") == false || !isSame, "\(cluster.agents[0].output)")
    let carried = try cluster.packets(0, "from-pod")
    #expect(try eventually { try cluster.packets(0, "from-pod") > carried + 20 })
    for ping in pings {
      let (sent, lost) = try ping.lost()
      #expect(lost == 0, "\(lost) of \(sent)")
    }
  }

  @Test func aTransferGoesOnThroughRestartsAndWithoutAgents() throws {
    var cluster = try FastPathCluster()
    let client = try #require(try cluster.addPod(0).first)
    let server = try #require(try cluster.addPod(1).first)
    #expect(client != server)
    let transfer = try Transfer(cluster.nodes[0], from: "pod", to: server, cluster.nodes[1], in: "pod")
    for index in 0..<2 { try cluster.restart(index, ["--fast-path", "on", "--fast-path-flows", "sight"]) }
    try transfer.expectProgress()
    // Known by sight a flow is carried when the ordinary path has seen it anew.
    for agent in cluster.agents {
      agent.signal(15)
      #expect(try agent.exitStatus() == 0, "\(agent.output)")
    }
    let carried = try cluster.packets(0, "from-pod")
    try transfer.expectProgress()
    #expect(try eventually { try cluster.packets(0, "from-pod") > carried + 100 })
    for index in 0..<2 { try cluster.restart(index, ["--fast-path", "off"]) }
    #expect(try eventually { try cluster.nodes[0].fastPathRemains() == [] })
    try transfer.expectProgress()
    for index in 0..<2 { try cluster.restart(index, ["--fast-path", "on"]) }
    // The agent gives a place to pods that are there.
    #expect(
      try eventually(within: .seconds(30)) { try cluster.packets(0, "from-pod") > 100 }, "\(cluster.agents[0].output)")
    try transfer.expectProgress()
    try transfer.end()
  }

  /// Nobody but the plugin is there.
  @Test func podsAddedWithoutAgentAreCarried() throws {
    let cluster = try FastPathCluster()
    cluster.stopAgent(0)
    try cluster.nodes[0].addPod("pod")
    try Runtime(node: cluster.nodes[0]).add(
      "pod", ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "capabilities": ["bandwidth": true]])
    #expect(try cluster.nodes[0].entries("pods").count == 2)
    let other = try #require(try cluster.addPod(1).first)
    let ping = try cluster.nodes[0].run(inPod: "pod", ["ping", "-nc", "10", "-i", "0.2", "-W", "5", other])
    #expect(ping.output.contains("10 received"), "\(ping)")
    #expect(try cluster.packets(0, "from-pod") >= 6)
  }

  /// `sync` as the plugin runs it.
  @Test func theHandOffBringsTheFastPath() throws {
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
    #expect(try node.programNames(node.cable()) == TestNode.podPrograms)
    #expect(try node.entries("pods").count == 2)
  }

  /// A second agent says that there is one, and replaces nothing.
  @Test func aSecondAgentTouchesNothing() throws {
    let cluster = try FastPathCluster(1)
    let programs = try cluster.nodes[0].lines("bpftool prog show pinned /sys/fs/bpf/causeway/from_pod")
    let second = try cluster.agent(0, ["--fast-path", "on", "--fast-path-flows", "sight"])
    #expect(try second.exitStatus() == 1)
    #expect(second.output.contains("is at work on this node"), "\(second.output)")
    #expect(try cluster.nodes[0].lines("bpftool prog show pinned /sys/fs/bpf/causeway/from_pod") == programs)
  }
}

/// A TCP stream that goes on until somebody ends it, each byte of which is looked at.
private final class Transfer {
  private let server: RunningProgram
  private let client: RunningProgram

  init(_ node: TestNode, from pod: String, to address: String, _ other: TestNode, in otherPod: String) throws {
    server = try other.start(["ip", "netns", "exec", otherPod, "python3", "-uc", Transfer.receive])
    let (server, enter) = (server, ["ip", "netns", "exec", pod])
    try #require(eventually { server.output.contains("listens") }, "\(server.output)")
    client = try node.start(enter + ["python3", "-uc", Transfer.send, address])
    try expectProgress()
  }

  /// How many blocks have come, each right.
  private var blocks: Int { Int(server.output.split(separator: "\n").last ?? "") ?? 0 }

  func expectProgress() throws {
    let start = blocks
    let goesOn = eventually(within: .seconds(30)) { blocks > start + 20 }
    #expect(goesOn, "\(server.output.suffix(200))\n\(client.output)")
  }

  func end() throws {
    #expect(server.isRunning && client.isRunning, "\(server.output.suffix(200))\n\(client.output)")
    client.stop()
    server.stop()
  }

  /// Blocks of 64 KiB, each of one number.
  private static let send = """
    itertools, socket, sys, time = map(__import__, ("itertools", "socket", "sys", "time"))
    stream = socket.create_connection((sys.argv[1], 5001))
    for number in itertools.count():
        stream.sendall(bytes([number % 251]) * 65536)
        time.sleep(0.005)
    """

  private static let receive = """
    itertools, socket = map(__import__, ("itertools", "socket"))
    listener = socket.create_server(("0.0.0.0", 5001))
    print("listens")
    stream, _ = listener.accept()
    for number in itertools.count():
        block = b""
        while len(block) < 65536:
            part = stream.recv(65536 - len(block))
            assert part, "the stream has ended"
            block += part
        assert block == bytes([number % 251]) * 65536, "block %d is wrong" % number
        if number % 10 == 0: print(number)
    """
}
