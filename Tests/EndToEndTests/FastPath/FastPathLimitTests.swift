import JSON
import Linux
import Testing
import TestSupport

/// Pods with a bandwidth limit do not use the fast path, because it would bypass the limit. The plugin that makes the
/// limit finds the hooks of the pod's link free.
@Suite(.requiresRoot, .timeLimit(.minutes(3)))
struct FastPathLimitTests {
  private static let limits: [JSONObject] = [
    ["ingressRate": 8_000_000, "ingressBurst": 800_000], ["egressRate": 8_000_000, "egressBurst": 800_000],
    ["ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 8_000_000, "egressBurst": 800_000],
  ]

  /// Adds a pod by the chain of causeway and the reference's bandwidth plugin, as a runtime does.
  ///
  /// - Parameter isDeclared: whether causeway's entry declares the capability, so that the runtime reports limits to
  ///   it.
  private func add(_ node: TestNode, _ limits: JSONObject, isDeclared: Bool) throws {
    try node.addPod("pod")
    let runtime = Runtime(node: node, version: "1.0.0")
    var configuration: JSONObject = ["cniVersion": "1.0.0", "name": "podnet", "type": "causeway"]
    if isDeclared {
      configuration["capabilities"] = ["bandwidth": true]
      configuration["runtimeConfig"] = ["bandwidth": .object(limits)]
    }
    let answer = try runtime.add("pod", configuration)
    var limited: JSONObject = ["cniVersion": "1.0.0", "name": "podnet", "type": "bandwidth"]
    limited["capabilities"] = ["bandwidth": true]
    limited["runtimeConfig"] = ["bandwidth": .object(limits)]
    let bandwidth = Runtime(node: node, plugin: "/usr/lib/cni/bandwidth", searchPath: "/usr/lib/cni")
    try bandwidth.call("ADD", "pod", configuration: runtime.configuration(limited, after: answer)).process.succeeded()
  }

  /// How often packets had to wait at the node's links.
  private func overlimits(_ node: TestNode) throws -> Int64 {
    let json = try node.run(["tc", "-json", "-statistics", "qdisc", "show"]).succeeded().output
    let disciplines = try JSONValue(parsing: Array(json.utf8)).array?.compactMap(\.object) ?? []
    return disciplines.reduce(0) { sum, discipline in
      if discipline["kind"] == "tbf", case .integer(let count)? = discipline["overlimits"] { sum + count } else { sum }
    }
  }

  @Test(arguments: limits, [true, false]) func aLimitedPodIsNotCarried(_ limits: JSONObject, _ isDeclared: Bool) throws
  {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    try add(node, limits, isDeclared: isDeclared)
    let server = try #require(try cluster.addPod(1).first)
    #expect(try node.entries("pods").isEmpty)
    // Longer than the agent waits for the chain to end.
    if !isDeclared {
      let isSeen = try eventually(within: .seconds(20)) {
        try cluster.status(0)["fastPath"]?.object?["limitedPods"] == 1
      }
      #expect(isSeen, "\(cluster.agents[0].output)")
      try node.sh("sleep 6; ip link add more type bridge")
    }
    let disciplines = try node.sh("tc qdisc show dev \(node.hostVeth())")
    #expect(!disciplines.contains("clsact"), "\(disciplines)")
    #expect(disciplines.contains("qdisc tbf") == (limits["ingressRate"] != nil), "\(disciplines)")
    #expect(disciplines.contains("qdisc ingress") == (limits["egressRate"] != nil), "\(disciplines)")
    #expect(try node.entries("pods").isEmpty)

    // More than the bucket holds, in both directions.
    let echo = try cluster.nodes[1].start([
      "ip", "netns", "exec", "pod", "busybox", "nc", "-ll", "-p", "5002", "-e", "cat",
    ])
    defer { echo.stop() }
    let received = try eventually(within: .seconds(40)) {
      try node.run(
        [
          "ip", "netns", "exec", "pod", "/bin/sh", "-c",
          "{ head -c 600000 /dev/zero; sleep 3; } | timeout 20 busybox nc \(server) 5002 | head -c 600000 | wc -c",
        ]
      ).output.contains("600000")
    }
    #expect(received)
    #expect(try overlimits(node) > 0)
    #expect(try cluster.packets(0, "from-pod") == 0)
    #expect(try cluster.packets(0, "to-pod") == 0)
  }

  /// Without an agent, too, the chain finds the hooks of the pod's link free.
  @Test(arguments: limits) func aLimitedPodWithoutAgentIsNotCarried(_ limits: JSONObject) throws {
    let cluster = try FastPathCluster(1)
    cluster.stopAgent(0)
    let node = cluster.nodes[0]
    try add(node, limits, isDeclared: false)
    #expect(try node.entries("pods").isEmpty)
    let options = ["--node-name", "node-a", "--fast-path", "on"]
    try node.sh("sleep 5")
    try node.run([Binaries.hostgw, "sync"] + options).succeeded()
    #expect(try node.entries("pods").isEmpty)
  }

  /// The agent attaches the programs after the chain has ended, when it sees whether another plugin limits the pod.
  @Test func anUnlimitedPodIsCarriedAfterTheChainHasEnded() throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    try node.addPod("pod")
    let start = MonotonicTime.now
    try Runtime(node: node).add("pod", ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway"])
    let programs = try node.programs(node.hostVeth())
    // A chain may run for five seconds.
    if MonotonicTime.now - start < .seconds(5) { #expect(programs == []) }
    #expect(try eventually(within: .seconds(20)) { try node.entries("pods").count == 2 }, "\(cluster.agents[0].output)")
    #expect(try node.programNames(node.hostVeth()) == TestNode.podPrograms)
    let other = try #require(try cluster.addPod(1).first)
    try node.expectCarriedPings(to: other) { try cluster.packets(0, "from-pod") }
    // Attaching to a new pod is not counted as a repair.
    #expect(try cluster.status(0)["fastPath"]?.object?["repairs"] == 0)
  }

  @Test func aLimitThatIsAddedAndRemovedLater() throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    _ = try cluster.addPod(0)
    #expect(try node.entries("pods").count == 2)
    try node.sh("tc qdisc add dev \(node.hostVeth()) root tbf rate 8mbit burst 100k latency 50ms")
    #expect(
      try eventually(within: .seconds(20)) {
        try node.entries("pods").isEmpty && cluster.status(0)["fastPath"]?.object?["limitedPods"] == 1
      }, "\(cluster.agents[0].output)")
    try node.sh("tc qdisc del dev \(node.hostVeth()) root")
    #expect(try eventually(within: .seconds(20)) { try node.entries("pods").count == 2 }, "\(cluster.agents[0].output)")
  }

  static let program = "protocol all bpf da object-pinned /sys/fs/bpf/causeway/to_pod"

  /// Carried packets bypass all filters at the egress of the pod's link, and those behind ours at its ingress. A pod
  /// with such a filter counts as limited.
  @Test(arguments: [
    "egress pref 1 protocol ip u32 match u32 0 0 classid 1:1", "egress pref 1 \(program)",
    "egress pref 60000 \(program)", "ingress pref 60000 \(program)",
  ])
  func aFilterThatWouldBeBypassedIsALimit(_ filter: String) throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    _ = try cluster.addPod(0)
    #expect(try node.entries("pods").count == 2)
    let veth = try node.hostVeth()
    try node.sh("tc filter add dev \(veth) \(filter)")
    #expect(
      try eventually(within: .seconds(20)) {
        try node.entries("pods").isEmpty && cluster.status(0)["fastPath"]?.object?["limitedPods"] == 1
      }, "\(cluster.agents[0].output)")
    let place = filter.split(separator: " ").prefix(3).joined(separator: " ")
    #expect(try node.sh("tc filter show dev \(veth) \(place)") != "")
    try node.sh("tc filter del dev \(veth) \(place)")
    #expect(
      try eventually(within: .seconds(20)) {
        try node.entries("pods").count == 2 && cluster.status(0)["fastPath"]?.object?["limitedPods"] == 0
      }, "\(cluster.agents[0].output)")
    #expect(try node.programNames(veth) == TestNode.podPrograms)
  }

  /// A filter before ours sees all packets that the pod sends.
  @Test func aFilterBeforeOursIsNoLimit() throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    _ = try cluster.addPod(0)
    try node.sh("tc filter add dev \(node.hostVeth()) ingress pref 1 \(FastPathLimitTests.program)")
    // Makes the agent start another pass after this.
    try node.sh("tc qdisc del dev eth0 clsact")
    #expect(try eventually(within: .seconds(20)) { try cluster.status(0)["fastPath"]?.object?["repairs"] == 1 })
    #expect(try cluster.status(0)["fastPath"]?.object?["limitedPods"] == 0)
    #expect(try node.entries("pods").count == 2)
  }
}
