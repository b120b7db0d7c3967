import JSON
import Linux
import Testing
import TestSupport

/// Passes by `sync` without an agent: what they load and attach, repair and remove.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct FastPathSyncTests {
  /// Two nodes with the fast path and a pod each.
  private struct Fixture {
    let cluster: Cluster
    let node: TestNode
    /// An address of the other node's pod.
    private(set) var other = ""

    /// - Parameter mode: the `mode` of the plugin.
    init(mode: String = "bridge") throws {
      cluster = try Cluster(2)
      for node in cluster.nodes { try node.sh("mount -t bpf bpf /sys/fs/bpf") }
      node = cluster.nodes[0]
      for index in 0..<2 { try sync(index).succeeded() }
      for node in cluster.nodes { try node.addPod("pod") }
      _ = try add(0, mode)
      other = try #require(try add(1, mode).hosts.first)
      // Makes the record old, as if the plugin chain had ended long ago.
      try node.sh("touch -d '-1 minute' /run/causeway/attachments/*")
    }

    @discardableResult
    func sync(_ index: Int = 0, _ options: String...) throws -> CommandResult {
      let mode = options.contains("--fast-path") ? [] : ["--fast-path", "on"]
      return try cluster.nodes[index].run(
        [Binaries.hostgw, "sync", "--node-name", Cluster.name(index)] + mode + options)
    }

    private func add(_ index: Int, _ mode: String) throws -> Runtime.Answer {
      try Runtime(node: cluster.nodes[index]).add(
        "pod",
        [
          "cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "mode": .string(mode),
          "capabilities": ["bandwidth": true],
        ])
    }

    /// Programs, map entries and pins, which a repair must restore.
    func state() throws -> [String] {
      try node.programNames("eth0") + node.programNames(node.hostVeth())
        + ["pods", "peers"].flatMap { try node.entries($0).map { "\($0.key) \($0.value)" }.sorted() }
        + node.lines("ls /sys/fs/bpf/causeway")
    }

    func carried() throws -> Int64 {
      let json = try node.hostgw("status", "--json", "--node-name", "node-a", "--fast-path", "on").output
      let fastPath = try JSONValue(parsing: Array(json.utf8)).object?["fastPath"]?.object
      guard case .integer(let count)? = fastPath?["from-pod"]?.object?["carried"]?.object?["packets"] else { return 0 }
      return count
    }

    func expectCarriedPings() throws { try node.expectCarriedPings(to: other, carried: carried) }
  }

  @Test(arguments: ["bridge", "routed"]) func aPassLoadsTheFastPathForPodsAddedAfterwards(_ mode: String) throws {
    let fixture = try Fixture(mode: mode)
    let node = fixture.node
    #expect(try node.programNames("eth0") == TestNode.nodePrograms)
    #expect(try node.programNames(node.hostVeth()) == TestNode.podPrograms)
    // Two subnets of each node, and two addresses of the pod.
    #expect(try node.entries("peers").count == 4)
    #expect(try node.entries("pods").count == 2)
    try fixture.expectCarriedPings()
    // A second pass changes nothing.
    let (programs, state) = try (node.programs("eth0") + node.programs(node.hostVeth()), fixture.state())
    let again = try fixture.sync()
    #expect(again.status == 0 && !again.errors.contains("program attached"), "\(again)")
    #expect(try node.programs("eth0") + node.programs(node.hostVeth()) == programs)
    #expect(try fixture.state() == state)
  }

  /// Damage with the log text of its repair. `$veth` is the host's end of the pod's veth pair.
  @Test(arguments: [
    ("tc filter del dev eth0 ingress", "program attached what=eth0"),
    ("tc filter del dev eth0 egress", "program attached what=eth0"),
    ("tc qdisc del dev eth0 clsact", "program attached what=eth0"),
    ("tc filter del dev $veth ingress", "program attached"), ("tc qdisc del dev $veth clsact", "program attached"),
    (
      "tc filter replace dev eth0 ingress protocol all pref 50000 handle 1 bpf da object-pinned /sys/fs/bpf/causeway/to_node",
      "program attached what=eth0"
    ),
    ("rm -r /sys/fs/bpf/causeway", "fast path loaded"), ("rm /sys/fs/bpf/causeway/from_node", "fast path loaded"),
    ("rm /sys/fs/bpf/causeway/to_pod", "fast path loaded"), ("rm /sys/fs/bpf/causeway/pods", "fast path loaded"),
    ("rm /sys/fs/bpf/causeway/counts /sys/fs/bpf/causeway/flows", "fast path loaded"),
    ("rm /run/causeway/fast-path.mark", "fast path loaded"),
    ("umount /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf", "fast path loaded"),
  ])
  func programsAreRestored(_ damage: String, _ word: String) throws {
    let fixture = try Fixture()
    let state = try fixture.state()
    try fixture.node.sh("veth=\(try fixture.node.hostVeth()); \(damage)")
    let pass = try fixture.sync()
    #expect(pass.status == 0 && pass.errors.contains(word), "\(pass)")
    #expect(try fixture.state() == state)
    try fixture.expectCarriedPings()
  }

  @Test func entriesAreRestoredAndForeignOnesRemoved() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let state = try fixture.state()
    for map in ["pods", "peers"] {
      let entries = try node.entries(map)
      for key in entries.keys.sorted().dropFirst() { try node.removeEntry(map, key) }
      // A wrong value.
      let (key, value) = try #require(entries.min { $0.key < $1.key })
      try node.setEntry(map, key, value: String(repeating: "01", count: value.count / 2))
    }
    // Addresses that no pod has, and keys that are not a node's subnet.
    for number in ["07", "08", "09"] {
      try node.setEntry("pods", "00000000000000000000ffff0af401" + number, value: String(repeating: "02", count: 16))
      try node.setEntry(
        "peers", "78000000" + "00000000000000000000ffff0af4" + number + "00", value: String(repeating: "02", count: 20))
    }
    try node.setEntry(
      "peers", "05000000" + String(repeating: "ee", count: 16), value: String(repeating: "00", count: 20))
    let pass = try fixture.sync()
    for word in ["pod set", "pod removed what=10.244.1.7", "peer set", "peer removed what=10.244.9.0/24"] {
      #expect(pass.errors.contains(word), "\(pass)")
    }
    #expect(pass.status == 0)
    #expect(try fixture.state() == state)
    try fixture.expectCarriedPings()
  }

  /// A map of another program or version is pinned by the name of ours, with larger values.
  @Test(arguments: ["pods", "peers", "counts", "flows"]) func aMapOfAnotherLayoutIsReplaced(_ name: String) throws {
    let fixture = try Fixture()
    let state = try fixture.state()
    let path = "/sys/fs/bpf/causeway/\(name)"
    try fixture.node.sh(
      "rm \(path) && bpftool map create \(path) type hash key 16 value 4096 entries 8 name \(name) flags 0")
    // Neither the plugin nor `status` fails because of it.
    try fixture.node.addPod("next")
    let configuration: JSONObject = [
      "cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "capabilities": ["bandwidth": true],
    ]
    try Runtime(node: fixture.node).add("next", configuration)
    try fixture.node.hostgw("status", "--node-name", "node-a").succeeded()
    try Runtime(node: fixture.node).delete("next", configuration)
    let pass = try fixture.sync()
    #expect(pass.status == 0 && pass.errors.contains("fast path loaded"), "\(pass)")
    #expect(try fixture.state() == state)
    #expect(try fixture.node.lines("ls /sys/fs/bpf | grep -v debug") == ["causeway"])
    try fixture.expectCarriedPings()
  }

  // MARK: Qdiscs and filters of others

  @Test func anIngressQdiscIsReportedAndKept() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh(
      "mount -t bpf bpf /sys/fs/bpf; tc qdisc add dev eth0 ingress; tc filter add dev eth0 ingress protocol ip u32 match u32 0 0 classid 1:1"
    )
    let filters = try node.sh("tc filter show dev eth0 ingress")
    for (mode, status) in [("on", Int32(1)), ("auto", 0)] {
      let pass = try node.hostgw("sync", "--node-name", "node-a", "--fast-path", mode)
      #expect(pass.status == status && pass.errors.contains("eth0: it has an ingress qdisc: use clsact"), "\(pass)")
      #expect(try node.sh("tc filter show dev eth0 ingress") == filters)
      #expect(try node.podRoutes().count == 2)
    }
  }

  @Test func filtersOfOthersAreKeptWhenOursAreRemoved() throws {
    let fixture = try Fixture()
    let node = fixture.node
    let veth = try node.hostVeth()
    // At the egress of the pod's link a filter would count as a limit.
    let hooks = ["eth0 egress", "\(veth) ingress"]
    for hook in hooks {
      try node.sh(
        "tc filter add dev \(hook) protocol ip pref 7 bpf da object-pinned /sys/fs/bpf/causeway/to_pod")
    }
    let others = try hooks.map { try node.sh("tc filter show dev \($0) pref 7") }
    try fixture.sync(0, "--fast-path", "off").succeeded()
    #expect(try node.programs("eth0") + node.programs(veth) == [])
    #expect(try hooks.map { try node.sh("tc filter show dev \($0) pref 7") } == others)
    #expect(try node.lines("tc qdisc show | grep clsact").count == 2)
    // The programs are attached again beside filters that were there first.
    try fixture.sync().succeeded()
    try fixture.expectCarriedPings()
  }

  // MARK: Switched off, and on again

  /// Switching off and `clean` also work if pins are missing. `$pins` is their directory.
  @Test(arguments: ["true", "rm -r $pins", "rm $pins/pods $pins/from_pod", "umount /sys/fs/bpf"], ["off", "clean"])
  func offAndCleanRemoveEverything(_ damage: String, _ way: String) throws {
    let fixture = try Fixture()
    let node = fixture.node
    let settings =
      "cat /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal /proc/sys/net/netfilter/nf_conntrack_tcp_ignore_invalid_rst"
    #expect(try node.lines(settings) == ["1", "1"])
    try node.sh("pins=/sys/fs/bpf/causeway; \(damage)")
    if way == "clean" {
      #expect(try node.hostgw("clean").succeeded().output.contains("fast path removed"))
    } else {
      let pass = try fixture.sync(0, "--fast-path", "off").succeeded()
      #expect(pass.errors.contains("fast path removed"), "\(pass)")
    }
    #expect(try node.fastPathRemains() == [])
    // Conntrack's settings stay for flows that were carried, until `clean`.
    #expect(try node.lines(settings) == (way == "clean" ? ["0", "0"] : ["1", "1"]))
    if way == "off" { #expect(try node.ping(from: "pod", fixture.other)) }
    try node.sh("[ $(stat -f -c %T /sys/fs/bpf) = bpf_fs ] || mount -t bpf bpf /sys/fs/bpf")
    try fixture.sync().succeeded()
    // The pod exists already.
    #expect(
      try eventually(within: .seconds(20)) {
        try fixture.sync()
        return try node.entries("pods").count == 2
      })
    try fixture.expectCarriedPings()
  }

  /// If pins cannot be removed, programs are detached nevertheless, and `sync` fails with the reason. With `auto` the
  /// fast path is removed because it could not be kept up to date.
  @Test(arguments: ["off", "auto"]) func programsThatCannotBeUnpinnedAreDetached(_ mode: String) throws {
    let fixture = try Fixture()
    let node = fixture.node
    let links = try ["eth0", node.hostVeth()]
    try node.sh("mount -o remount,ro /sys/fs/bpf")
    let pass = try fixture.sync(0, "--fast-path", mode)
    #expect(pass.status == 1, "\(pass)")
    for word in ["what is left of the fast path stays: remove /sys/fs/bpf/causeway/", "Read-only file system"] {
      #expect(pass.errors.contains(word), "\(pass)")
    }
    #expect(try links.flatMap { try node.programs($0) } == [])
    #expect(try node.podRoutes().count == 2)
    #expect(try node.ping(from: "pod", fixture.other))
    try node.sh("mount -o remount,rw /sys/fs/bpf")
    let next = try fixture.sync(0, "--fast-path", "off").succeeded()
    #expect(next.errors.contains("fast path removed"), "\(next)")
    #expect(try node.fastPathRemains() == [])
  }

  /// A slow ADD opens the programs before the fast path is switched off, and attaches them afterwards. It must detach
  /// them, because their maps are no longer kept up to date.
  @Test(arguments: [["off"], ["off", "on"]]) func aSlowADDDoesNotAttachRemovedPrograms(_ modes: [String]) throws {
    let fixture = try Fixture()
    let node = fixture.node
    try node.addPod("slow")
    let runtime = Runtime(node: node)
    var configuration = runtime.configuration(["capabilities": ["bandwidth": true]])
    configuration["ipam"] = nil
    try Files.write(node.path("/run/slow.json"), Array(JSONValue.object(configuration).text().utf8))
    // ADD stops after it has opened the pinned objects, at its first lookup in `peers`.
    let slow = try node.start(
      [
        "/bin/sh", "-c",
        "exec strace -f -o /run/trace -e trace=bpf -e inject=bpf:signal=SIGSTOP:when=7 \(runtime.plugin) </run/slow.json",
      ],
      environment: [
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "slow", "CNI_NETNS": "/run/netns/slow", "CNI_IFNAME": "eth0",
        "CNI_PATH": runtime.searchPath,
      ])
    let isStopped = try eventually(within: .seconds(30)) {
      try node.sh("cat /run/trace 2>/dev/null || true").contains("stopped by SIGSTOP")
    }
    try #require(isStopped, "\(slow.output)")
    for mode in modes { try fixture.sync(0, "--fast-path", mode).succeeded() }
    try node.sh("kill -CONT $(awk '/stopped by SIGSTOP/ { print $1 }' /run/trace)")
    #expect(try slow.exitStatus(within: .seconds(30)) == 0, "\(slow.output)")
    #expect(slow.output.contains("10.244.1.3"), "\(slow.output)")
    let programs = try node.programs(node.hostVeth("slow"))
    #expect(programs == [])
    if modes == ["off"] { #expect(try node.fastPathRemains() == []) }
    #expect(try node.ping(from: "slow", fixture.other))
  }

  /// Only one process at a time loads programs, because all use the same names for their pins.
  @Test func anAgentLoadsNothingDuringAnotherProcessesPass() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("mount -t bpf bpf /sys/fs/bpf; mkdir -p /run/causeway")
    let pass = try node.start([
      "flock", "--no-fork", "--shared", "/run/causeway/agent.lock", "flock", "--no-fork", "/run/causeway/sync.lock",
      "sleep", "1000",
    ])
    #expect(try eventually { try FileLock.isHeldExclusively(node.path("/run/causeway/sync.lock")) })
    let agent = try node.start([Binaries.hostgw, "run", "--node-name", "node-a", "--fast-path", "on"])
    // An agent that did not wait would have loaded them by then.
    let loads = try eventually(within: .seconds(3)) { try node.fastPathRemains() != [] }
    #expect(!loads, "\(agent.output)")
    pass.stop()
    let works = try eventually(within: .seconds(30)) { try node.programNames("eth0") == TestNode.nodePrograms }
    #expect(works, "\(agent.output)")
  }

  /// A setting that was 1 before is not changed.
  @Test func cleanRestoresOnlyChangedSettings() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let name = "/proc/sys/net/netfilter/nf_conntrack_tcp"
    try node.sh("mount -t bpf bpf /sys/fs/bpf; echo 1 >\(name)_be_liberal")
    for _ in 1...2 { try node.hostgw("sync", "--node-name", "node-a", "--fast-path", "on").succeeded() }
    try node.hostgw("clean").succeeded()
    #expect(try node.lines("cat \(name)_be_liberal \(name)_ignore_invalid_rst") == ["1", "0"])
  }
}
