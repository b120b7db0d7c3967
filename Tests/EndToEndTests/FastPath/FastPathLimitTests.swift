import JSON
import Linux
import Testing
import TestSupport

/// A limit of bandwidth is for what passes the ordinary path: pods that have one are not carried, and the plugin that makes
/// it finds the room that it needs.
@Suite(.requiresRoot, .timeLimit(.minutes(3)))
struct FastPathLimitTests {
  private static let limits: [JSONObject] = [
    ["ingressRate": 8_000_000, "ingressBurst": 800_000], ["egressRate": 8_000_000, "egressBurst": 800_000],
    ["ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 8_000_000, "egressBurst": 800_000],
  ]

  /// The chain of causeway and the reference's bandwidth plugin, as a runtime runs it.
  ///
  /// - Parameter isDeclared: whether causeway's part says "capabilities", and so is told.
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

  /// How often packets had to wait, at any of the node's links.
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
    // As long as nobody knows what the chain makes of the pod, and longer.
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

  /// Nobody but the plugins is there, and the chain has its room.
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

  /// The agent, which sees what plugins behind ours have made of the link, gives it its place a little later.
  @Test func aPodThatNobodyLimitsIsCarriedSoon() throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    try node.addPod("pod")
    let start = MonotonicTime.now
    try Runtime(node: node).add("pod", ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway"])
    let programs = try node.programs(node.hostVeth())
    // Five seconds are what a chain gets.
    if MonotonicTime.now - start < .seconds(5) { #expect(programs == []) }
    #expect(try eventually(within: .seconds(20)) { try node.entries("pods").count == 2 }, "\(cluster.agents[0].output)")
    #expect(try node.programNames(node.hostVeth()) == TestNode.podPrograms)
    let other = try #require(try cluster.addPod(1).first)
    try node.expectCarriedPings(to: other) { try cluster.packets(0, "from-pod") }
    // What is new is no repair.
    #expect(try cluster.status(0)["fastPath"]?.object?["repairs"] == 0)
  }

  @Test func aLimitThatComesAndGoesLater() throws {
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

  /// What is carried comes by no filter at the pod's egress, and by none behind ours at its ingress: whoever put one there
  /// wants to see all.
  @Test(arguments: [
    "egress pref 1 protocol ip u32 match u32 0 0 classid 1:1", "egress pref 1 \(program)",
    "egress pref 60000 \(program)", "ingress pref 60000 \(program)",
  ])
  func aFilterThatWouldBePassedByIsALimit(_ filter: String) throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    _ = try cluster.addPod(0)
    #expect(try node.entries("pods").count == 2)
    let cable = try node.hostVeth()
    try node.sh("tc filter add dev \(cable) \(filter)")
    #expect(
      try eventually(within: .seconds(20)) {
        try node.entries("pods").isEmpty && cluster.status(0)["fastPath"]?.object?["limitedPods"] == 1
      }, "\(cluster.agents[0].output)")
    let place = filter.split(separator: " ").prefix(3).joined(separator: " ")
    #expect(try node.sh("tc filter show dev \(cable) \(place)") != "")
    try node.sh("tc filter del dev \(cable) \(place)")
    #expect(
      try eventually(within: .seconds(20)) {
        try node.entries("pods").count == 2 && cluster.status(0)["fastPath"]?.object?["limitedPods"] == 0
      }, "\(cluster.agents[0].output)")
    #expect(try node.programNames(cable) == TestNode.podPrograms)
  }

  /// It sees all that the pod sends.
  @Test func aFilterBeforeOursIsNoLimit() throws {
    let cluster = try FastPathCluster()
    let node = cluster.nodes[0]
    _ = try cluster.addPod(0)
    try node.sh("tc filter add dev \(node.hostVeth()) ingress pref 1 \(FastPathLimitTests.program)")
    // A pass that begins after this.
    try node.sh("tc qdisc del dev eth0 clsact")
    #expect(try eventually(within: .seconds(20)) { try cluster.status(0)["fastPath"]?.object?["repairs"] == 1 })
    #expect(try cluster.status(0)["fastPath"]?.object?["limitedPods"] == 0)
    #expect(try node.entries("pods").count == 2)
  }
}
