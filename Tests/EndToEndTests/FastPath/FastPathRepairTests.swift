import JSON
import Testing
import TestSupport

/// The agent repairs the fast path as it repairs routes, whatever was removed or changed.
@Suite(.requiresRoot, .timeLimit(.minutes(4)))
struct FastPathRepairTests {
  /// Two nodes with a pod each.
  private struct Fixture {
    let cluster: FastPathCluster
    let node: TestNode
    let other: String
    private let earlierLog: String

    init() throws {
      cluster = try FastPathCluster()
      node = cluster.nodes[0]
      _ = try cluster.addPod(0)
      other = try #require(try cluster.addPod(1).first)
      // Makes the record old, as if the plugin chain had ended long ago.
      try node.sh("touch -d '-1 minute' /run/causeway/attachments/*")
      // The agent may have found the pod during ADD, and attached the programs too.
      let (cluster, node) = (cluster, node)
      #expect(try eventually { try Fixture.facts(of: cluster)["addresses"] == 2 }, "\(cluster.agents[0].output)")
      #expect(try node.entries("pods").count == 2)
      earlierLog = cluster.agents[0].output
    }

    /// The agent's log since the fixture was made.
    var log: Substring { cluster.agents[0].output.dropFirst(earlierLog.count) }

    /// Programs and map entries, without the kernel's IDs.
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

    /// Waits until the fast path is in this state.
    ///
    /// - Parameter limit: must exceed the agent's interval of 30 seconds if the kernel does not notify of the damage.
    func expect(_ state: [String], within limit: Duration = .seconds(20)) throws {
      let came = eventually(within: limit) { (try? self.state()) == state }
      let now = try? self.state()
      #expect(came, "\(now ?? [])\n\(cluster.agents[0].output)")
    }

    func expectCarriedPings() throws {
      try node.expectCarriedPings(to: other) { try cluster.packets(0, "from-pod") }
    }
  }

  /// Damage of which the kernel notifies the agent. `$veth` is the host's end of the pod's veth pair.
  @Test(arguments: [
    "tc filter del dev eth0 ingress", "tc filter del dev eth0 egress", "tc qdisc del dev eth0 clsact",
    "tc filter del dev $veth ingress pref 50000", "tc qdisc del dev $veth clsact",
    "for link in eth0 $veth; do tc qdisc del dev $link clsact; done",
  ])
  func removedProgramsAreAttachedAgain(_ damage: String) throws {
    let fixture = try Fixture()
    let state = try fixture.state()
    #expect(try fixture.fact("repairs") == 0)
    try fixture.node.sh("veth=\(try fixture.node.hostVeth()); \(damage)")
    try fixture.expect(state)
    let links = damage.contains("for") ? 2 : 1
    #expect(try eventually { try fixture.fact("repairs") == Int64(links) }, "\(fixture.cluster.agents[0].output)")
    #expect(eventually { fixture.log.count(of: "program attached") == links }, "\(fixture.log)")
    try fixture.expectCarriedPings()
  }

  /// The kernel does not notify of pins and map entries. The agent checks them every 30 seconds.
  @Test func entriesAndPinsAreRestored() throws {
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
    // Restored entries are not counted as repairs.
    #expect(try fixture.fact("repairs") == 0)
    for words in [["pod removed", "10.244.1.99"], ["peer removed", "10.244.99.0/24"]] {
      #expect(eventually { words.allSatisfy(fixture.log.contains) }, "\(fixture.log)")
    }

    try node.removePins()
    try fixture.expect(state, within: .seconds(60))
    #expect(try eventually { try fixture.fact("repairs") >= 3 })
    #expect(eventually { fixture.log.count(of: "fast path loaded") == 1 }, "\(fixture.log)")
    try fixture.expectCarriedPings()
  }

  @Test func aNewNICOfTheSameName() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let index = try node.ip(json: "link", "show", "eth0").first?["ifindex"]
    try node.sh("ip link del eth0")
    // There is no route to the other node; entries with the removed link are removed.
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

  @Test func aPeerThatReturnsWithAnotherAddress() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let key = "78000000" + "00000000000000000000ffff0af40200"
    #expect(try node.entries("peers")[key]?.hasSuffix("ffffc000020c") == true)
    try Cluster.write(Cluster.nodesFile([0]), to: node)
    #expect(try eventually(within: .seconds(20)) { try node.entries("peers").count == 2 })
    // No peer is reached by the link any more.
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
    // Attaching to a new link is not counted as a repair.
    #expect(try fixture.fact("repairs") == 0)
  }

  @Test func aNewMACAddressOfTheBridgeIsThePodsGateway() throws {
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

  /// Without a DEL, the veth pair is removed with the pod's namespace.
  @Test func aPodThatIsRemovedWithoutDELLeavesNoEntry() throws {
    let fixture = try Fixture()
    #expect(try fixture.node.entries("pods").count == 2)
    try fixture.node.removePod("pod")
    #expect(
      try eventually(within: .seconds(20)) { try fixture.node.entries("pods").isEmpty },
      "\(fixture.cluster.agents[0].output)")
    #expect(try eventually { try fixture.fact("addresses") == 0 })
  }

  /// An agent without the fast path tries to remove its leftovers until nothing is left.
  @Test func anAgentWithoutTheFastPathRemovesLeftovers() throws {
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
    #expect(text.contains("Warning: \(problem)"), "\(text)")
    try node.sh("mount -o remount,rw /sys/fs/bpf")
    #expect(try eventually(within: .seconds(60)) { try node.fastPathRemains() == [] }, "\(agent.output)")
    #expect(eventually { agent.output.contains("fast path removed") }, "\(agent.output)")
    #expect(try eventually { try cluster.status(0)["fastPath"] == .null })
    #expect(agent.isRunning && agent.output.count(of: problem) == 1, "\(agent.output)")
    agent.signal(15)
    #expect(try agent.exitStatus() == 0, "\(agent.output)")
  }

  @Test func attachedProgramsAreNotReplaced() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let programs = try node.programs(node.hostVeth())
    for number in 1...5 { try node.sh("ip link add more\(number) type bridge; ip link del more\(number)") }
    // Makes the agent start another pass after this.
    let state = try fixture.state()
    try node.sh("tc qdisc del dev eth0 clsact")
    try fixture.expect(state)
    #expect(try node.programs(node.hostVeth()) == programs)
    #expect(eventually { fixture.log.count(of: "program attached") == 1 }, "\(fixture.log)")
    #expect(fixture.log.count(of: "pod set") == 0, "\(fixture.log)")
  }
}

extension StringProtocol {
  /// How often the text occurs.
  fileprivate func count(of text: String) -> Int { ranges(of: text).count }
}
