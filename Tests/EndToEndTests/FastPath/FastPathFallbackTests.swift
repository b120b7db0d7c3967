import JSON
import Testing
import TestSupport

/// Nodes that cannot have the fast path: all packets use the ordinary path, no ADD fails, and `status` shows the
/// reason.
@Suite(.requiresRoot, .timeLimit(.minutes(3)))
struct FastPathFallbackTests {
  /// A condition of a node without which the fast path does not work.
  struct MissingCondition: CustomTestStringConvertible, Sendable {
    let name: String
    /// Commands that prepare the node before the agent starts.
    var script = "mount -t bpf bpf /sys/fs/bpf"
    /// Prefix of the agent's command.
    var confinement: [String] = []
    /// Texts that the reason contains.
    let words: [String]
    var testDescription: String { name }
  }

  static let missingConditions = [
    MissingCondition(
      name: "no file system", script: "true",
      words: ["there is no BPF file system at /sys/fs/bpf", "mount -t bpf bpf /sys/fs/bpf"]),
    MissingCondition(
      name: "bpf(2) forbidden", confinement: ["python3", "-c", withoutBPF],
      words: [
        "Operation not permitted", "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are needed, and the right to call bpf(2)",
      ]),
    MissingCondition(
      name: "no capabilities",
      confinement: ["setpriv", "--bounding-set", "-all,+net_admin,+dac_override", "--inh-caps", "-all"],
      words: ["Operation not permitted", "CAP_BPF, CAP_PERFMON"]),
    MissingCondition(
      name: "settings of conntrack can't be written",
      confinement: [
        "unshare", "--mount", "/bin/sh", "-ec",
        #"mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec "$@""#, "sh",
      ],
      words: ["Read-only file system", "set net.netfilter.nf_conntrack_tcp_be_liberal = 1, by sysctl.d"]),
    MissingCondition(
      name: "the file system is read-only", script: "mount -t bpf -o ro bpf /sys/fs/bpf",
      words: ["/sys/fs/bpf", "Read-only file system"]),
  ]

  /// Starts a program for which bpf(2) fails with EPERM, by a seccomp filter of classic BPF (linux/seccomp.h) with the
  /// system call numbers of this machine.
  private static let withoutBPF = """
    ctypes, os, struct, sys = map(__import__, ("ctypes", "os", "struct", "sys"))
    bpf, = {"x86_64": (321,), "aarch64": (280,)}[os.uname().machine]
    load, equal, ret = 0x20, 0x15, 0x06
    program = [(load, 0, 0, 0), (equal, 0, 1, bpf), (ret, 0, 0, 0x00050000 | 1), (ret, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    filter = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter, 0, 0) == 0, os.strerror(ctypes.get_errno())
    os.execv(sys.argv[1], sys.argv[1:])
    """

  private func fastPath(_ node: TestNode) throws -> JSONObject? {
    let json = try node.hostgw("status", "--json", "--node-name", "node-a").output
    return (try? JSONValue(parsing: Array(json.utf8)))?.object?["fastPath"]?.object
  }

  @Test(arguments: missingConditions) func autoWorksWithoutTheFastPath(_ missing: MissingCondition) throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh(missing.script)
    let agent = try node.start(
      missing.confinement + [
        Binaries.hostgw, "run", "--node-name", "node-a", "--fast-path", "auto", "--healthz-port", "8474",
      ])
    #expect(try eventually(within: .seconds(20)) { try fastPath(node)?["state"] == "unavailable" }, "\(agent.output)")
    #expect(try eventually { try node.podRoutes().count == 2 }, "\(agent.output)")
    let reason = try fastPath(node)?["reason"]?.string ?? ""
    for word in missing.words {
      #expect(reason.contains(word), "\(reason)")
      #expect(eventually { agent.output.contains(word) }, "\(agent.output)")
    }
    #expect(
      eventually { agent.output.contains("warning no fast path, everything goes the ordinary way: ") },
      "\(agent.output)")
    let text = try node.hostgw("status", "--node-name", "node-a").output
    #expect(text.contains("Fast:    unavailable") && text.contains("no fast path, everything goes"), "\(text)")
    #expect(try eventually { try node.run(["curl", "-s", "http://127.0.0.1:8474/readyz"]).output == "ok\n" })
    let metrics = try node.sh("curl -s http://127.0.0.1:8474/metrics")
    #expect(metrics.contains("\ncauseway_fast_path_up 0\n"), "\(metrics)")

    // Pods are added, and reach each other.
    try cluster.nodes[1].hostgw("sync", "--node-name", "node-b").succeeded()
    let pods = try cluster.nodes.map { node in
      try node.addPod("pod")
      return try Runtime(node: node).add(
        "pod", ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "capabilities": ["bandwidth": true]])
    }
    #expect(try eventually { try node.ping(from: "pod", #require(pods[1].hosts.first)) })
    #expect(try node.fastPathRemains() == [])
    // A reason that has not changed is logged once.
    try node.sh("ip link add more type bridge")
    #expect(try eventually { try fastPath(node)?["state"] == "unavailable" })
    #expect(agent.output.ranges(of: "no fast path, everything").count == 1, "\(agent.output)")
  }

  @Test(arguments: missingConditions) func onFailsWithoutTheFastPath(_ missing: MissingCondition) throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh(missing.script)
    let options = ["--node-name", "node-a", "--fast-path", "on"]
    let agent = try node.start(missing.confinement + [Binaries.hostgw, "run"] + options)
    #expect(try agent.exitStatus(within: .seconds(30)) == 1, "\(agent.output)")
    for word in missing.words + ["there is no fast path: ", "--fast-path auto does without"] {
      #expect(agent.output.contains(word), "\(agent.output)")
    }
    #expect(try node.podRoutes().isEmpty)
    // Routes are installed nevertheless.
    let pass = try node.run(missing.confinement + [Binaries.hostgw, "sync"] + options)
    #expect(pass.status == 1, "\(pass)")
    for word in missing.words { #expect(pass.errors.contains(word), "\(pass)") }
    #expect(try node.podRoutes().count == 2)
    #expect(try node.fastPathRemains() == [])
  }

  /// Programs whose maps are no longer updated would send packets to outdated addresses of nodes.
  @Test func programsAreRemovedWhenTheirMapsCannotBeUpdated() throws {
    let cluster = try FastPathCluster(options: ["--fast-path", "auto"])
    let node = cluster.nodes[0]
    _ = try cluster.addPod(0)
    let other = try #require(try cluster.addPod(1).first)
    let ping = try SteadyPing(node, from: "pod", other)
    try node.sh("umount /sys/fs/bpf; ip link add more type bridge")
    #expect(
      try eventually(within: .seconds(60)) {
        try cluster.status(0)["fastPath"]?.object?["state"] == "unavailable" && node.fastPathRemains() == []
      }, "\(cluster.agents[0].output)")
    try node.sh("touch -d '-1 minute' /run/causeway/attachments/*; mount -t bpf bpf /sys/fs/bpf; ip link del more")
    #expect(
      try eventually(within: .seconds(60)) {
        try cluster.status(0)["fastPath"]?.object?["state"] == "on" && node.entries("pods").count == 2
      }, "\(cluster.agents[0].output)")
    #expect(try eventually { try cluster.packets(0, "from-pod") > 10 })
    let (sent, lost) = try ping.lost()
    // Hooks were removed from two links and added again. Each time the kernel stops the link, for up to 40 ms on busy
    // processors.
    #expect(lost <= 30, "\(lost) of \(sent)")
  }

  /// Pinned objects are missing or are not what their names say: ADD succeeds, and reports wrong objects on standard
  /// error.
  @Test(arguments: [
    "for name in pods peers from_pod to_pod; do rm $pins/$name; bpftool map create $pins/$name type hash key 4 value 4 entries 4 name x; done",
    "for name in pods peers; do rm $pins/$name; bpftool prog load $object $pins/$name; done",
    "umount /sys/fs/bpf", "rm $pins/from_pod", "rm $pins/pods",
  ])
  func addSucceedsWhateverIsPinned(_ damage: String) throws {
    let cluster = try FastPathCluster(1)
    let node = cluster.nodes[0]
    cluster.stopAgent(0)
    try node.sh(
      """
      pins=/sys/fs/bpf/causeway
      object=\(Binaries.packageRoot)/Sources/Node/CFastPath/objects/by_sight.o
      \(damage)
      """)
    try node.addPod("pod")
    let runtime = Runtime(node: node)
    let configuration: JSONObject = [
      "cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "capabilities": ["bandwidth": true],
    ]
    let answer = try runtime.add("pod", configuration)
    let address = try #require(answer.hosts.first)
    #expect(answer.process.errors.contains("has no fast path") == damage.hasPrefix("for"), "\(answer)")
    #expect(try node.ping(address))
    try runtime.check("pod", answer, configuration: configuration).process.succeeded()
    try runtime.delete("pod", configuration)
    #expect(try node.remains() == [])
  }
}
