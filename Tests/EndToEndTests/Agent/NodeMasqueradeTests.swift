import JSON
import Testing
import TestSupport

/// `--ip-masq`: the source addresses of packets, observed where they arrive.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct NodeMasqueradeTests {
  /// Two nodes with a pod each, and a host outside that has a route to the pods of the first.
  private struct Fixture {
    let cluster: Cluster
    let outside: TestNode
    var nodes: [TestNode] { cluster.nodes }

    init(plugin keys: JSONObject = [:]) throws {
      cluster = try Cluster(2)
      outside = try TestNode()
      try cluster.segment.connect(
        outside, addresses: ["192.0.2.98/24", "192.0.2.99/24", "2001:db8::98/64", "2001:db8::99/64"])
      try outside.sh(
        """
        ip route add 10.244.1.0/24 via 192.0.2.11
        ip -6 route add fd00:10:244:1::/64 via 2001:db8::11
        """)
      for node in nodes {
        try node.hostgw("sync", "--ip-masq").succeeded()
        try node.addPod("a")
        let runtime = Runtime(node: node)
        var configuration = runtime.configuration(["ipam": .null])
        for member in keys.members { configuration[member.name] = member.value }
        try runtime.add("a", configuration)
      }
    }

    /// Expects that these requests arrive, and no others, at either pod, the second node or outside while `body` runs.
    func expect(arriving expected: Set<String>, _ body: () throws -> Void) throws {
      let dump = ["tcpdump", "-lnQ", "in", "-i", "eth0", "icmp[icmptype] == icmp-echo or icmp6[0] == 128"]
      let inPod = ["ip", "netns", "exec", "a"]
      let captures = try [
        nodes[0].start(inPod + dump), nodes[1].start(inPod + dump), nodes[1].start(dump), outside.start(dump),
      ]
      #expect(eventually { captures.allSatisfy { $0.output.contains("listening on") } })
      try body()
      var seen: Set<String> = []
      // Captures are written with a delay.
      _ = eventually {
        seen = Set(captures.flatMap { $0.output.matches(of: #/IP6? (\S+ > \S+): ICMP/#).map { String($0.output.1) } })
        return seen.isSuperset(of: expected)
      }
      #expect(seen == expected)
    }

    func ping(_ node: TestNode, _ addresses: String..., from source: String? = nil, pod: String? = nil) throws {
      for address in addresses {
        let command = ["ping", "-nc", "1", "-W", "8"] + (source.map { ["-I", $0] } ?? []) + [address]
        let result = try pod.map { try node.run(inPod: $0, command) } ?? node.run(command)
        #expect(result.status == 0, "\(result)")
      }
    }
  }

  @Test func packetsLeaveTheClusterWithTheNodesAddress() throws {
    let fixture = try Fixture()
    // A packet to another node's pod is captured twice: at the node's link and in the pod.
    try fixture.expect(
      arriving: [
        "10.244.1.2 > 10.244.2.2", "fd00:10:244:1::2 > fd00:10:244:2::2",
        "10.244.1.2 > 192.0.2.12", "fd00:10:244:1::2 > 2001:db8::12",
        "192.0.2.11 > 192.0.2.99", "2001:db8::11 > 2001:db8::99",
        "192.0.2.11 > 10.244.2.2", "2001:db8::11 > fd00:10:244:2::2",
        "192.0.2.98 > 10.244.1.2", "2001:db8::98 > fd00:10:244:1::2",
      ]
    ) {
      try fixture.ping(
        fixture.nodes[0], "10.244.2.2", "fd00:10:244:2::2", "192.0.2.12", "2001:db8::12", "192.0.2.99", "2001:db8::99",
        pod: "a")
      try fixture.ping(fixture.nodes[0], "10.244.2.2", "fd00:10:244:2::2")
      try fixture.ping(fixture.outside, "10.244.1.2", from: "192.0.2.98")
      try fixture.ping(fixture.outside, "fd00:10:244:1::2", from: "2001:db8::98")
    }
  }

  /// Sets kube-proxy's mark, one bit among others. Marked packets are left to kube-proxy.
  @Test func markedPacketsAreLeftToKubeProxy() throws {
    let fixture = try Fixture()
    try fixture.nodes[0].sh(
      """
      nft -f - <<'END'
      table inet marks {
        chain c {
          type filter hook prerouting priority mangle
          ip daddr 192.0.2.98 meta mark set 0x4001
          ip daddr 192.0.2.99 meta mark set 0xbfff
          ip6 daddr 2001:db8::98 meta mark set 0xc000
        }
      }
      END
      """)
    try fixture.expect(
      arriving: [
        "10.244.1.2 > 192.0.2.98", "192.0.2.11 > 192.0.2.99",
        "fd00:10:244:1::2 > 2001:db8::98", "2001:db8::11 > 2001:db8::99",
      ]
    ) {
      try fixture.ping(fixture.nodes[0], "192.0.2.98", "192.0.2.99", "2001:db8::98", "2001:db8::99", pod: "a")
    }
  }

  /// Lets a pod's own network masquerade too. Neither table disturbs the other.
  @Test func thePluginsAndTheHelpersTablesWorkTogether() throws {
    let fixture = try Fixture(plugin: ["ipMasq": true])
    #expect(try fixture.nodes[0].sh("nft list table inet causeway_pods").contains("10.244.1.2"))
    try fixture.expect(
      arriving: [
        "10.244.1.2 > 10.244.2.2", "192.0.2.11 > 192.0.2.99",
        "fd00:10:244:1::2 > fd00:10:244:2::2", "2001:db8::11 > 2001:db8::99",
      ]
    ) {
      try fixture.ping(fixture.nodes[0], "10.244.2.2", "192.0.2.99", "fd00:10:244:2::2", "2001:db8::99", pod: "a")
    }
  }

  @Test func portsAreChosenByTheOption() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    for (ports, statement) in [
      ("none", "masquerade"), ("random", "masquerade random"), ("fully-random", "masquerade fully-random"),
    ] {
      try node.hostgw("sync", "--ip-masq", "--ip-masq-ports", ports).succeeded()
      let lines = try node.sh("nft list chain inet causeway leaving4").split(separator: "\n")
      #expect(lines.contains { $0.trimmingPrefix(#/\s+/#) == statement }, "\(lines)")
    }
    let bad = try node.hostgw("sync", "--ip-masq-ports", "some")
    #expect(bad.status != 0 && bad.errors.contains("none, random, fully-random"), "\(bad)")
  }
}
