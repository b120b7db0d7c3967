import JSON
import Testing
import TestSupport

/// Which pods use the fast path, and when they stop using it.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct FastPathPodTests {
  private static let base: JSONObject = [
    "cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "capabilities": ["bandwidth": true],
  ]

  private func configuration(_ more: JSONObject, name: String = "podnet") -> JSONObject {
    var configuration = FastPathPodTests.base
    configuration["name"] = .string(name)
    for member in more.members { configuration[member.name] = member.value }
    return configuration
  }

  /// Waits until the agent has made a pass that began after this call.
  private func waitForAPass(_ cluster: FastPathCluster) throws {
    let node = cluster.nodes[0]
    try node.sh("tc qdisc del dev eth0 clsact")
    #expect(
      try eventually(within: .seconds(20)) { try node.programNames("eth0") == TestNode.nodePrograms },
      "\(cluster.agents[0].output)")
  }

  @Test(
    arguments: [
      ([:], true), (["macspoofchk": true], true), (["portIsolation": true], true), (["hairpinMode": false], true),
      (["ipMasq": true], true), (["mode": "routed"], true), (["isDefaultGateway": false], true),
      (["ipam": ["type": "none"]], false), (["disableContainerInterface": true], false),
      // The pod's gateway is not this node.
      (["isGateway": false, "isDefaultGateway": false], false),
      // Other nodes have no route to these addresses.
      (["ipam": ["ranges": [[["subnet": "10.9.0.0/24"]], [["subnet": "fd00:9::/64"]]]]], false),
      (["runtimeConfig": ["bandwidth": ["ingressRate": 8_000_000, "ingressBurst": 800_000]]], false),
    ] as [(JSONObject, Bool)])
  func podsThatUseTheFastPath(_ more: JSONObject, _ isCarried: Bool) throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    try node.addPod("pod")
    let runtime = Runtime(node: node)
    try runtime.add("pod", configuration(more))
    let hostVeths = try node.hostVeths()
    func expectEntries() throws {
      #expect(try node.entries("pods").count == (isCarried ? 2 : 0))
      let programs = try hostVeths.flatMap { try node.programNames($0) }
      #expect(programs == (isCarried ? TestNode.podPrograms : []), "\(cluster.agents[0].output)")
    }
    try expectEntries()
    // The agent decides the same, also when the plugin chain has ended.
    try node.sh("touch -d '-1 minute' /run/causeway/attachments/*")
    try waitForAPass(cluster)
    try expectEntries()
    try runtime.delete("pod", configuration(more))
    #expect(try node.entries("pods").isEmpty)
    try waitForAPass(cluster)
    #expect(try node.entries("pods").isEmpty)
  }

  /// Each address has the entry of its own interface.
  @Test func aPodInTwoNetworks() throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    try node.addPod("pod")
    let runtime = Runtime(node: node)
    var links: [String: Set<String>] = [:]
    for (interface, network) in [("eth0", "podnet"), ("net1", "second")] {
      let before = Set(try node.hostVeths())
      let keys = Set(try node.entries("pods").keys)
      try runtime.add(
        "pod", interface: interface, configuration(["isDefaultGateway": .bool(interface == "eth0")], name: network))
      let veth = try #require(Set(node.hostVeths()).subtracting(before).first)
      let new = try node.entries("pods").filter { !keys.contains($0.key) }
      #expect(new.count == 2)
      links[veth] = Set(new.values)
      #expect(try node.programNames(veth) == TestNode.podPrograms)
    }
    #expect(try node.entries("pods").count == 4)
    #expect(links.count == 2 && Set(links.values.flatMap { $0 }).count == 2)
    try waitForAPass(cluster)
    #expect(try node.entries("pods").count == 4)
    try runtime.call("DEL", "pod", interface: "net1", configuration: configuration([:], name: "second")).process
      .succeeded()
    #expect(try node.entries("pods").count == 2)
    try runtime.delete("pod", configuration([:]))
    #expect(try node.entries("pods").isEmpty)
  }

  /// The subnet belongs to another node by now, but a pod with an address of it is still on this node.
  @Test(arguments: ["conntrack", "sight"])
  func aPodOfAnEarlierSubnetIsStillReached(_ flows: String) throws {
    let stage = try FastPathStage("routed", flows)
    let node = stage.cluster.nodes[0]
    var (own, other) = (try #require(Cluster.entry(0).object), try #require(Cluster.entry(1).object))
    (own["subnet"], own["ipv6Subnet"]) = ("10.244.9.0/24", "fd00:10:244:9::/64")
    (other["subnet"], other["ipv6Subnet"]) = (
      Cluster.entry(0).object?["subnet"], Cluster.entry(0).object?["ipv6Subnet"]
    )
    try Cluster.write(Cluster.nodesFile([], more: [.object(own), .object(other)]), to: node)
    // The entry begins with a link: the subnet is no longer this node's own.
    let isMoved = try eventually(within: .seconds(20)) {
      try node.entries("peers")["78000000" + "00000000000000000000ffff0af40100"]?.hasPrefix("00000000") == false
    }
    try #require(isMoved, "\(stage.cluster.agents[0].output)")
    let addresses = try stage.cluster.addPod(0, "new", keys: ["mode": "routed"])
    #expect(addresses.first?.hasPrefix("10.244.9.") == true, "\(addresses)")
    let new = Traffic(node: node, pod: "new")
    let carried = try stage.carried {
      for host in stage.servers[0] {
        let tcp = try new.run("tcp", host, "--bytes", "3000000")
        #expect(tcp.output.contains("complete 3000000 by server-0\n"), "\(tcp)")
        let udp = try new.run("udp", host, "--count", "200")
        #expect(udp.output == "server-0 200\nunanswered 0\n", "\(udp)")
      }
    }
    #expect(carried[0] == 0, "\(carried)")
  }

  /// ADD cannot write its result, because the runtime has ended.
  @Test(arguments: ["bridge", "routed"]) func aFailedADDLeavesNothing(_ mode: String) throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    try node.addPod("pod")
    let text = try JSONValue.object(configuration(["mode": .string(mode)])).text()
    let added = try node.run(
      ["/bin/sh", "-c", "exec \(Binaries.causeway) >/dev/full"],
      environment: [
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "pod", "CNI_NETNS": "/run/netns/pod", "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin",
      ], input: text)
    #expect(added.status == 1, "\(added)")
    #expect(try node.remains() == [])
    #expect(try eventually { try node.entries("pods").isEmpty })
    #expect(try node.lines("tc qdisc show | grep clsact").count == 1)
    // The next ADD succeeds, and its pod uses the fast path.
    try Runtime(node: node).add("pod", configuration(["mode": .string(mode)]))
    #expect(try node.entries("pods").count == 2)
  }

  @Test func collectionRemovesEntriesOfMissingPods() throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    let runtime = Runtime(node: node)
    for pod in ["a", "b"] {
      try node.addPod(pod)
      try runtime.add(pod, configuration([:]))
    }
    let entries = try node.entries("pods")
    #expect(entries.count == 4)
    cluster.stopAgent(0)
    try runtime.collect(keeping: ["b"], configuration([:]))
    let kept = try node.entries("pods")
    #expect(kept.count == 2 && kept.allSatisfy { entries[$0.key] == $0.value })
    #expect(try Set(kept.values).count == 1 && node.programNames(node.hostVeth("b")) == TestNode.podPrograms)
  }

  /// A late DEL of a pod keeps the entry of its address, because another pod has the address by now.
  @Test func aLateDELKeepsTheEntryOfAnotherPod() throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    cluster.stopAgent(0)
    let runtime = Runtime(node: node)
    for pod in ["a", "b"] { try node.addPod(pod) }
    let first = try runtime.add("a", configuration([:]))
    let record = try #require(node.records().first)
    try node.sh("cp \(record) /run/record")
    try runtime.delete("a", configuration([:]))
    let addresses = first.hosts.map { "IP=\($0)" }
    let second = try runtime.add("b", arguments: addresses[0], configuration([:]))
    #expect(second.hosts.first == first.hosts.first)
    let entries = try node.entries("pods")
    try node.sh("cp /run/record \(record)")
    try runtime.delete("a", configuration([:]))
    #expect(try node.entries("pods") == entries)
  }
}
