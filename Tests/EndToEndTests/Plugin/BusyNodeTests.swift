import JSON
import Testing
import TestSupport

/// A node with many links and rules, or with many changes at the same time.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct BusyNodeTests {
  /// Fills a bridge: the kernel allows 1,023 ports.
  @Test func addOnAFullBridgeReportsItAndLeavesNothing() throws {
    let runtime = try Runtime.reference("bridge", "1.0.0")
    let node = runtime.node
    for pod in ["a", "b"] { try node.addPod(pod) }
    let configuration = runtime.bridgeConfiguration([.v4], ["ipMasq": true, "macspoofchk": true])
    try runtime.add("a", configuration)
    // Both ends of each pair are ports. The last pair gets only one of its ends in.
    try node.sh(
      """
      { for i in $(seq 511); do
          echo "link add p$i master bridge0 type veth peer name q$i"; echo "link set q$i master bridge0"
        done } | ip -batch -
      """, limit: .seconds(60))
    #expect(try node.lines("ip -o link show master bridge0 | wc -l") == ["1023"])
    let full = try runtime.call("ADD", "b", configuration: configuration)
    #expect(
      full.code == 11 && full.message.hasPrefix("the bridge bridge0 is full: the kernel gives a bridge 1,023 ports"))
    #expect(full.message.contains("remove pods from this node, use another bridge"), "\(full)")
    #expect(try node.hostVeths().count == 1 && node.leases().count == 1 && node.records().count == 1)
    #expect(try node.lines("nft list ruleset | grep -c testConfig:b: || true") == ["0"])
    #expect(try node.view(inPod: "b").links.count == 1)
    try runtime.delete("b", configuration)
    try node.ip("link", "delete", "p1")
    try runtime.add("b", configuration)
    #expect(try node.ping(from: "b", "10.1.2.1"))
  }

  /// Changes links, addresses and routes while the plugin reads dumps. The kernel marks such dumps as interrupted, and
  /// the reference then fails.
  @Test func interruptedDumpsFailNoVerb() throws {
    let runtime = try Runtime.reference("bridge", "1.1.0")
    let node = runtime.node
    let pods = try runtime.addPods(4)
    let configuration = runtime.bridgeConfiguration([.v4, .v6], ["ipMasq": true])
    let first = try runtime.add(pods[0], configuration)
    // Enough objects that no dump fits in one message.
    try node.sh(
      """
      for i in $(seq 300); do echo "link add p$i type veth peer name q$i"; done | ip -batch -
      for i in $(seq 900); do echo "address add fd00:$i::1/64 dev bridge0 nodad"; done | ip -batch -
      for i in $(seq 900); do
        echo "address add fd00:1:$i::1/64 dev eth0 nodad"; echo "route add fd00:2:$i::/64 via 2001:db8:1::1"
      done | ip -netns \(pods[0]) -batch -
      """)
    func churn(_ place: String) throws -> RunningProgram {
      try node.start([
        "/bin/bash", "-c",
        """
        batch=$(for i in 1 2 3 4; do
          echo "link add churn$i type veth peer name churned$i"; echo "link set churn$i up"
          for n in 1 2 3 4 5 6 7 8; do echo "address add 10.200.$i.$n/32 dev churn$i"; done
          for n in 1 2 3 4 5 6 7 8; do echo "address add fd00:f:$i::$n/64 dev churn$i nodad"; done
          echo "link delete churn$i"
        done)
        while :; do ip \(place) -force -batch - <<<"$batch" 2>/dev/null; sleep 0.05; done
        """,
      ])
    }
    let churning = try (churn(""), churn("-netns \(pods[0])"))
    let isEffective = try eventually(within: .seconds(30)) {
      try node.run(["ip", "link"]).errors.contains("interrupted")
    }
    #expect(isEffective, "no dump was interrupted, so this test proves nothing")
    for _ in 1...4 {
      try runtime.check(pods[0], first, configuration: configuration).process.succeeded()
      for pod in pods.dropFirst() { try runtime.add(pod, configuration) }
      // A failed ADD also reads dumps.
      let another = runtime.bridgeConfiguration([], ["bridge": "bridge1", "ipam": ["type": "none-such"]])
      #expect(try runtime.call("ADD", pods[1], configuration: another).process.status == 1)
      try runtime.collect(keeping: [pods[0], pods[1]], configuration)
      for pod in pods.dropFirst() { try runtime.delete(pod, configuration) }
    }
    #expect(churning.0.isRunning && churning.1.isRunning)
    #expect(try node.leases().count == 2 && node.records().count == 1)
  }
}
