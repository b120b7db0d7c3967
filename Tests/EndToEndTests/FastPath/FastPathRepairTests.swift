import JSON
import Testing
import TestSupport

/// The agent puts the fast path right as it does routes: whoever damaged it, and however.
@Suite(.requiresRoot, .timeLimit(.minutes(4)))
struct FastPathRepairTests {
  /// Two nodes with a pod each.
  private struct Fixture {
    let cluster: FastPathCluster
    let node: TestNode
    let other: String
    private let told: String

    init() throws {
      cluster = try FastPathCluster()
      node = cluster.nodes[0]
      _ = try cluster.addPod(0)
      other = try #require(try cluster.addPod(1).first)
      // An ADD that is long over.
      try node.sh("touch -d '-1 minute' /run/causeway/attachments/*")
      // The agent may have found the pod while ADD was at it, and done the same.
      let (cluster, node) = (cluster, node)
      #expect(try eventually { try Fixture.facts(of: cluster)["addresses"] == 2 }, "\(cluster.agents[0].output)")
      #expect(try node.entries("pods").count == 2)
      told = cluster.agents[0].output
    }

    /// What the agent has logged since.
    var news: Substring { cluster.agents[0].output.dropFirst(told.count) }

    /// Everything but the kernel's numbers.
    func state() throws -> [String] {
      try node.programNames("eth0") + node.programNames(node.hostVeth())
        + ["pods", "peers"].flatMap { map in
          try node.entries(map).map { "\(map) \($0.key) \($0.value)" }.sorted()
        }
    }

    private static func facts(of cluster: FastPathCluster) throws -> JSONObject {
      try cluster.status(0)["fastPath"]?.object ?? [:]
    }

    func fact(_ name: String) throws -> Int64 {
      guard case .integer(let number)? = try Fixture.facts(of: cluster)[name] else { return -1 }
      return number
    }

    /// Waits until all is as it must be.
    ///
    /// - Parameter limit: longer than the agent's 30 seconds where the kernel tells nobody of the damage.
    func expect(_ state: [String], within limit: Duration = .seconds(20)) throws {
      let came = eventually(within: limit) { (try? self.state()) == state }
      let now = try? self.state()
      #expect(came, "\(now ?? [])\n\(cluster.agents[0].output)")
    }

    func expectCarriedPings() throws {
      try node.expectCarriedPings(to: other) { try cluster.packets(0, "from-pod") }
    }
  }

  /// `$cable` is the host's end of the pod's cable. The kernel tells of these at once.
  @Test(arguments: [
    "tc filter del dev eth0 ingress", "tc filter del dev eth0 egress", "tc qdisc del dev eth0 clsact",
    "tc filter del dev $cable ingress pref 50000", "tc qdisc del dev $cable clsact",
    "for link in eth0 $cable; do tc qdisc del dev $link clsact; done",
  ])
  func programsThatWereTakenComeBack(_ damage: String) throws {
    let fixture = try Fixture()
    let state = try fixture.state()
    #expect(try fixture.fact("repairs") == 0)
    try fixture.node.sh("cable=\(try fixture.node.hostVeth()); \(damage)")
    try fixture.expect(state)
    let links = damage.contains("for") ? 2 : 1
    #expect(try eventually { try fixture.fact("repairs") == Int64(links) }, "\(fixture.cluster.agents[0].output)")
    #expect(eventually { fixture.news.count(of: "program attached") == links }, "\(fixture.news)")
    try fixture.expectCarriedPings()
  }

  /// Of files and maps the kernel tells nothing: the agent looks every 30 seconds.
  @Test func whatTheKernelTellsNobodyOfComesBack() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let state = try fixture.state()
    for map in ["pods", "peers"] {
      for key in try node.entries(map).keys { try node.removeEntry(map, key) }
    }
    try node.setEntry("pods", "00000000000000000000ffff0af40163", value: String(repeating: "02", count: 16))
    try node.setEntry(
      "peers", "78000000" + "00000000000000000000ffff0af46300", value: String(repeating: "03", count: 20))
    try fixture.expect(state, within: .seconds(60))
    // Nothing was put back but entries.
    #expect(try fixture.fact("repairs") == 0)
    for told in [["pod removed", "10.244.1.99"], ["peer removed", "10.244.99.0/24"]] {
      #expect(eventually { told.allSatisfy(fixture.news.contains) }, "\(fixture.news)")
    }

    try node.removePins()
    try fixture.expect(state, within: .seconds(60))
    #expect(try eventually { try fixture.fact("repairs") >= 3 })
    #expect(eventually { fixture.news.count(of: "fast path loaded") == 1 }, "\(fixture.news)")
    try fixture.expectCarriedPings()
  }

  @Test func anotherNICOfTheSameName() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let index = try node.ip(json: "link", "show", "eth0").first?["ifindex"]
    try node.sh("ip link del eth0")
    // Packets for the other node have no way; what would lead to a link that is no more goes.
    #expect(try eventually(within: .seconds(20)) { try node.entries("peers").count == 2 })
    try fixture.cluster.cluster.segment.connect(node, addresses: ["192.0.2.11/24", "2001:db8::11/64"])
    #expect(try node.ip(json: "link", "show", "eth0").first?["ifindex"] != index)
    #expect(
      try eventually(within: .seconds(20)) {
        try node.programNames("eth0") == TestNode.nodePrograms && node.entries("peers").count == 4
      }, "\(fixture.cluster.agents[0].output)")
    try fixture.expectCarriedPings()
  }

  @Test func aNICThatGoesDownAndUp() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let state = try fixture.state()
    try node.sh("ip link set eth0 down")
    #expect(try eventually(within: .seconds(20)) { try node.entries("peers").count == 2 })
    try node.sh("ip link set eth0 up && ip address add 2001:db8::11/64 dev eth0 nodad")
    try fixture.expect(state)
    try fixture.expectCarriedPings()
  }

  @Test func aPeerThatGoesAndComesAtAnotherAddress() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let key = "78000000" + "00000000000000000000ffff0af40200"
    #expect(try node.entries("peers")[key]?.hasSuffix("ffffc000020c") == true)
    try Cluster.write(Cluster.nodesFile([0]), to: node)
    #expect(try eventually(within: .seconds(20)) { try node.entries("peers").count == 2 })
    // No way leads out by it any more.
    #expect(
      try eventually {
        try node.programs("eth0") == [] && node.lines("tc qdisc show dev eth0 | grep clsact || true").isEmpty
      })

    try fixture.cluster.nodes[1].sh("ip address add 192.0.2.77/24 dev eth0")
    var entry = try #require(Cluster.entry(1).object)
    entry["publicIP"] = "192.0.2.77"
    try Cluster.write(Cluster.nodesFile([0], more: [.object(entry)]), to: node)
    #expect(
      try eventually(within: .seconds(20)) { try node.entries("peers")[key]?.hasSuffix("ffffc000024d") == true },
      "\(fixture.cluster.agents[0].output)")
    try fixture.expectCarriedPings()
    // What is new is no repair.
    #expect(try fixture.fact("repairs") == 0)
  }

  @Test func aBridgesNewMACIsThePodsGateway() throws {
    let fixture = try Fixture()
    let node = fixture.node
    try node.sh("ip link set cni0 address 02:00:00:00:00:99")
    #expect(
      try eventually(within: .seconds(20)) {
        try node.entries("pods").values.allSatisfy { $0.hasSuffix("020000000099") }
      }, "\(fixture.cluster.agents[0].output)")
    try node.sh("ip netns exec pod ip neigh flush dev eth0")
    try fixture.expectCarriedPings()
  }

  /// Neither the runtime nor the plugin was asked: the cable is gone with the namespace.
  @Test func aPodThatGoesWithoutDELLeavesNoEntry() throws {
    let fixture = try Fixture()
    #expect(try fixture.node.entries("pods").count == 2)
    try fixture.node.removePod("pod")
    #expect(
      try eventually(within: .seconds(20)) { try fixture.node.entries("pods").isEmpty },
      "\(fixture.cluster.agents[0].output)")
    #expect(try eventually { try fixture.fact("addresses") == 0 })
  }

  /// An agent without the fast path goes on until nothing is left of it.
  @Test func anAgentThatIsOffTriesAgain() throws {
    let fixture = try Fixture()
    let (cluster, node) = (fixture.cluster, fixture.node)
    cluster.stopAgent(0)
    let links = try ["eth0", node.hostVeth()]
    try node.sh("mount -o remount,ro /sys/fs/bpf")
    let agent = try cluster.agent(0, ["--fast-path", "off"])
    let problem = "what is left of the fast path stays: remove /sys/fs/bpf/causeway/"
    #expect(eventually(within: .seconds(20)) { agent.output.contains(problem) }, "\(agent.output)")
    #expect(try links.flatMap { try node.programs($0) } == [])
    #expect(try node.fastPathRemains() != [])
    #expect(try eventually { try cluster.status(0)["fastPath"]?.object?["state"] == "off" })
    let text = try node.hostgw("status", "--node-name", "node-a").output
    #expect(text.contains("Note:   \(problem)"), "\(text)")
    try node.sh("mount -o remount,rw /sys/fs/bpf")
    #expect(try eventually(within: .seconds(60)) { try node.fastPathRemains() == [] }, "\(agent.output)")
    #expect(eventually { agent.output.contains("fast path removed") }, "\(agent.output)")
    #expect(try eventually { try cluster.status(0)["fastPath"] == .null })
    #expect(agent.isRunning && agent.output.count(of: problem) == 1, "\(agent.output)")
    agent.signal(15)
    #expect(try agent.exitStatus() == 0, "\(agent.output)")
  }

  @Test func whatIsAsItMustBeIsLeftAlone() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let programs = try node.programs(node.hostVeth())
    for number in 1...5 { try node.sh("ip link add more\(number) type bridge; ip link del more\(number)") }
    // A look that begins after all this.
    let state = try fixture.state()
    try node.sh("tc qdisc del dev eth0 clsact")
    try fixture.expect(state)
    #expect(try node.programs(node.hostVeth()) == programs)
    #expect(eventually { fixture.news.count(of: "program attached") == 1 }, "\(fixture.news)")
    #expect(fixture.news.count(of: "pod set") == 0, "\(fixture.news)")
  }
}

extension StringProtocol {
  /// How often the text stands in it.
  fileprivate func count(of text: String) -> Int { ranges(of: text).count }
}
