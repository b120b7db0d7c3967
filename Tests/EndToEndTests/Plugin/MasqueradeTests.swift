import JSON
import Testing
import TestSupport

/// `ipMasq`: pods' packets leave the node with the node's address, by one element of the plugin's own table.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct MasqueradeTests {
  /// A node, and a host outside of it that has no route to pods.
  private struct Fixture {
    let segment: TestSegment
    let node: TestNode
    let outside: TestNode
    let runtime: Runtime
    let configuration: JSONObject

    init() throws {
      segment = try TestSegment()
      node = try TestNode()
      outside = try TestNode()
      try segment.connect(node, addresses: ["192.0.2.1/24", "2001:db8::1/64"])
      try segment.connect(outside, addresses: ["192.0.2.99/24", "2001:db8::99/64"])
      runtime = Runtime(node: node)
      configuration = runtime.configuration(["ipMasq": true])
    }

    /// The comments of the elements of both maps.
    func owners() throws -> [String] {
      try node.lines("nft list table inet causeway_pods | grep -o 'comment \"[^\"]*\"' || true")
    }
  }

  @Test func podsReachAHostWithoutARouteBack() throws {
    let fixture = try Fixture()
    for pod in ["a", "b"] { try fixture.node.addPod(pod) }
    try fixture.runtime.add("a", fixture.configuration)
    #expect(try fixture.node.ping(from: "a", "192.0.2.99") && fixture.node.ping(from: "a", "2001:db8::99"))
    #expect(try fixture.owners() == Array(repeating: "comment \"podnet:a:eth0\"", count: 2))
    // A pod without `ipMasq` has no rule.
    try fixture.runtime.add("b", fixture.runtime.configuration())
    #expect(try !fixture.node.ping(from: "b", "192.0.2.99", within: 2))
    try fixture.runtime.delete("a", fixture.configuration)
    #expect(try fixture.owners() == [])
  }

  @Test func noProgramIsRun() throws {
    let fixture = try Fixture()
    try fixture.node.addPod("a")
    let trace = "/run/trace"
    try fixture.node.sh(
      """
      printf '#!/bin/sh\\nexec strace -f -e trace=execve -o \(trace) \(fixture.runtime.plugin)\\n' >/run/traced
      chmod +x /run/traced
      """)
    var runtime = fixture.runtime
    runtime.plugin = "/run/traced"
    try runtime.add("a", fixture.configuration)
    #expect(try fixture.node.lines("grep -c execve \(trace)") == ["1"])
  }

  @Test func withoutANamespaceTheRuleIsRemovedToo() throws {
    let fixture = try Fixture()
    try fixture.node.addPod("a")
    try fixture.runtime.add("a", fixture.configuration)
    try fixture.node.removePod("a")
    try fixture.runtime.call("DEL", nil, id: "a", configuration: fixture.configuration).process.succeeded()
    #expect(try fixture.owners() == [])
  }

  @Test func withoutARecordTheRuleIsRemovedToo() throws {
    let fixture = try Fixture()
    try fixture.node.addPod("a")
    try fixture.runtime.add("a", fixture.configuration)
    try fixture.node.sh("rm -r /run/causeway")
    try fixture.runtime.delete("a", fixture.configuration)
    #expect(try fixture.owners() == [])
  }

  /// Lets pod b get the address of pod a, whose lease was lost without its rule. A late DEL of a must leave the rule of
  /// b.
  @Test func aLateDELLeavesTheNextOwnersRule() throws {
    let fixture = try Fixture()
    for pod in ["a", "b"] { try fixture.node.addPod(pod) }
    let old = try fixture.runtime.add("a", fixture.configuration)
    try fixture.node.sh(
      """
      rm /var/lib/cni/networks/podnet/10.9.0.2 /var/lib/cni/networks/podnet/fd00:9::2
      rm -f /var/lib/cni/networks/podnet/last_reserved_ip.*
      """)
    let new = try fixture.runtime.add("b", fixture.configuration)
    #expect(new.addresses == old.addresses)
    #expect(try fixture.owners() == Array(repeating: "comment \"podnet:b:eth0\"", count: 2))
    try fixture.runtime.delete("a", fixture.configuration)
    #expect(try fixture.owners() == Array(repeating: "comment \"podnet:b:eth0\"", count: 2))
    #expect(try fixture.node.ping(from: "b", "192.0.2.99"))
  }

  @Test func aFailedADDLeavesNoRule() throws {
    let fixture = try Fixture()
    try fixture.node.addPod("a")
    var configuration = fixture.configuration
    configuration["ipam"] = [
      "ranges": fixture.runtime.ranges(.dual), "routes": [["dst": "10.50.0.0/16", "gw": "192.0.2.77"]],
    ]
    #expect(try fixture.runtime.call("ADD", "a", configuration: configuration).process.status == 1)
    #expect(try fixture.owners() == [])
    #expect(try fixture.node.remains() == [])
  }

  @Test func gcRemovesStrayRulesOfItsNetworkOnly() throws {
    let fixture = try Fixture()
    for pod in ["a", "b"] { try fixture.node.addPod(pod) }
    try fixture.runtime.add("a", fixture.configuration)
    var other = fixture.runtime.configuration(
      ["bridge": "cni1", "ipMasq": true, "ipam": ["ranges": [[["subnet": "10.8.0.0/24"]]]]], name: "podnet2")
    try fixture.runtime.add("b", other)
    var configuration = fixture.configuration
    configuration["cni.dev/valid-attachments"] = []
    try fixture.runtime.call("GC", nil, configuration: configuration).process.succeeded()
    #expect(try fixture.owners() == ["comment \"podnet2:b:eth0\""])
    // An unreferenced chain is removed too.
    let chains = try fixture.node.lines("nft list table inet causeway_pods | grep -o 'chain [a-z0-9]*-'")
    #expect(chains == ["chain podnet2-"])
    other["cni.dev/valid-attachments"] = [["containerID": "b", "ifname": "eth0"]]
    try fixture.runtime.call("GC", nil, configuration: other).process.succeeded()
    #expect(try fixture.owners() == ["comment \"podnet2:b:eth0\""])
  }

  /// Checks that GC finishes all other work before it reports a rule that it cannot remove.
  @Test func gcContinuesAfterARuleThatCannotBeRemoved() throws {
    let fixture = try Fixture()
    let runtime = fixture.runtime
    for pod in ["a", "b"] { try fixture.node.addPod(pod) }
    for pod in ["a", "b"] { try runtime.add(pod, runtime.configuration(["macspoofchk": true])) }
    // The kernel removes no elements of a constant set that is in use.
    let commands = """
      table inet causeway_pods {
        map masquerade4 {
          type ipv4_addr : verdict
          flags constant
          elements = { 10.9.0.2 comment "podnet:a:eth0" : accept }
        }
        chain postrouting { ip saddr vmap @masquerade4
        }
      }

      """
    try fixture.node.run(["nft", "-f", "-"], input: commands).succeeded()
    let valid: JSONValue = [["containerID": "b", "ifname": "eth0"]]
    let answer = try runtime.call("GC", nil, configuration: runtime.configuration(["cni.dev/valid-attachments": valid]))
    #expect(
      answer.process.status == 1 && answer.message.contains("remove an element of the set masquerade4"), "\(answer)")
    #expect(try fixture.owners() == ["comment \"podnet:a:eth0\""])
    #expect(try fixture.node.leases().count == 2)
    #expect(try fixture.node.hostVeths().count == 1)
    #expect(try fixture.node.records().count == 1)
    let guarded = try fixture.node.lines("nft list table bridge causeway | grep -o 'comment \"[^\"]*\"'")
    #expect(guarded == Array(repeating: "comment \"podnet:b:eth0\"", count: 2))
  }

  /// Adds pods of two networks. Each address jumps to its network's chain, which excepts destinations from
  /// masquerading.
  @Test func theRulesetOfTwoNetworksIsComplete() throws {
    let fixture = try Fixture()
    let (node, runtime) = (fixture.node, fixture.runtime)
    for pod in ["a", "b", "c"] { try node.addPod(pod) }
    let one = runtime.configuration(["ipMasq": true], name: "one")
    var two = runtime.configuration(["ipMasq": true, "bridge": "cni1"], name: "two")
    two["ipam"] = ["ranges": [[["subnet": "10.8.0.0/24"]]]]
    for pod in ["a", "b"] { try runtime.add(pod, one) }
    try runtime.add("c", two)
    func elements() throws -> [String] {
      try node.lines(
        """
        for map in masquerade4 masquerade6; do nft list map inet causeway_pods $map; done |
          grep -oE '[0-9a-f.:]+ comment "[^"]*" : jump [a-z]+' | sort
        """)
    }
    let all = [
      #"10.8.0.2 comment "two:c:eth0" : jump two"#, #"10.9.0.2 comment "one:a:eth0" : jump one"#,
      #"10.9.0.3 comment "one:b:eth0" : jump one"#, #"fd00:9::2 comment "one:a:eth0" : jump one"#,
      #"fd00:9::3 comment "one:b:eth0" : jump one"#,
    ]
    #expect(try elements() == all)
    func chain(_ prefix: String) throws -> [String] {
      try node.lines("nft list table inet causeway_pods | sed -n '/chain \(prefix)/,/}/p' | sed '1d;$d'").map { line in
        line.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      }
    }
    #expect(
      try chain("postrouting") == [
        "type nat hook postrouting priority srcnat; policy accept;", "ip saddr vmap @masquerade4",
        "ip6 saddr vmap @masquerade6",
      ])
    let multicast = ["ip daddr 224.0.0.0/4 return", "ip6 daddr ff00::/8 return"]
    #expect(
      try chain("one-")
        == multicast + [
          "ip daddr 10.9.0.0/24 return", "ip6 daddr fd00:9::/64 return", "masquerade fully-random",
        ])
    #expect(try chain("two-") == multicast + ["ip daddr 10.8.0.0/24 return", "masquerade fully-random"])

    // GC of some pods, of none and of all; the table and its base chain remain.
    try runtime.collect(keeping: ["b"], one)
    #expect(try elements() == all.filter { !$0.contains("one:a") })
    try runtime.collect(keeping: ["b"], one)
    try runtime.collect(keeping: ["c"], two)
    #expect(try elements() == all.filter { !$0.contains("one:a") })
    for network in [one, two] { try runtime.collect(keeping: [], network) }
    #expect(try elements() == [])
    #expect(
      try node.lines("nft list table inet causeway_pods | grep -oE '\t(chain|map) [a-z0-9-]+' | tr -d '\t' | sort") == [
        "chain postrouting", "map masquerade4", "map masquerade6",
      ])
  }

  /// Changes the configuration of an existing pod, which does not matter to CHECK.
  @Test func checkComparesWithWhatADDDid() throws {
    let fixture = try Fixture()
    try fixture.node.addPod("a")
    var configuration = fixture.runtime.configuration()
    configuration["prevResult"] = .object(try #require(fixture.runtime.add("a", configuration).json))
    configuration["ipMasq"] = true
    configuration["macspoofchk"] = true
    try fixture.runtime.call("CHECK", "a", configuration: configuration).process.succeeded()
  }

  /// Checks that pods of the cluster see each other's own addresses if the lease leaves masquerading to the plugin.
  @Test func podsOfTheClusterKeepTheirAddresses() throws {
    let cluster = try Cluster(2)
    let outside = try TestNode()
    try cluster.segment.connect(outside, addresses: ["192.0.2.99/24", "2001:db8::99/64"])
    let keys: JSONObject = ["ipam": .null, "hostgw": ["nodes-file": "/etc/causeway/nodes.json"]]
    for node in cluster.nodes {
      try node.addPod("a")
      let runtime = Runtime(node: node)
      try runtime.add("a", runtime.configuration(keys))
    }
    let listener = try cluster.nodes[1].start(
      ["ip", "netns", "exec", "a", "tcpdump", "-lni", "eth0", "-c", "2", "icmp[icmptype] == 8 or icmp6[0] == 128"])
    #expect(eventually { listener.output.contains("listening on") })
    for host in ["10.244.2.2", "fd00:10:244:2::2"] { #expect(try cluster.nodes[0].ping(from: "a", host)) }
    _ = try listener.exitStatus()
    #expect(listener.output.contains("IP 10.244.1.2 > 10.244.2.2"), "\(listener.output)")
    #expect(listener.output.contains("IP6 fd00:10:244:1::2 > fd00:10:244:2::2"), "\(listener.output)")
    for host in ["192.0.2.99", "2001:db8::99"] { #expect(try cluster.nodes[0].ping(from: "a", host)) }
  }
}
