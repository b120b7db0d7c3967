import JSON
import Linux
import Testing
import TestSupport

/// `causeway-hostgw run --store kubernetes` without failures.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct KubeTests {
  @Test func twoAgentsHaveEachOthersRoutesAndAnnotateTheirNodes() throws {
    let cluster = try KubeCluster(2, config: KubeCluster.dualConfig)
    let first = try cluster.agent(0)
    let second = try cluster.agent(1)
    try cluster.nodes[0].expectRoutes(["10.244.2.0/24 via 192.0.2.12", "fd00:10:244:2::/64 via 2001:db8::12"], first)
    try cluster.nodes[1].expectRoutes(["10.244.1.0/24 via 192.0.2.11", "fd00:10:244:1::/64 via 2001:db8::11"], second)
    // Routes are installed before the lease is written.
    #expect(try eventually { try cluster.nodes[0].subnetOfLease() != nil }, "\(first.output)")
    let file = try cluster.nodes[0].sh("cat /run/causeway/subnet.env")
    #expect(
      file.contains("FLANNEL_SUBNET=10.244.1.1/24\n") && file.contains("FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\n"))
    let server = cluster.server
    #expect(try eventually { try server.condition("node-a")?.first == "False" }, "\(first.output)")
    #expect(try server.condition("node-a")?[1] == "CausewayIsUp")
    #expect(
      try server.annotations("node-a") == [
        "kube-subnet-manager": "true", "backend-type": "host-gw", "backend-data": "null", "backend-v6-data": "null",
        "public-ip": "192.0.2.11", "public-ipv6": "2001:db8::11",
      ])
    // Conditions and annotations of others are not changed.
    let node = try #require(try server.node("node-a"))
    #expect(node["metadata"]?.object?["annotations"]?.object?["other.example/x"]?.string == "\"}{][,")
    #expect(node["status"]?.object?["conditions"]?.array?.count == 2, "\(node)")
    // The agent's requests are exactly those that its role allows.
    let records = try server.records()
    #expect(Set(records.map { "\($0.verb) \($0.resource)" }) == KubeServer.role)
    // Few requests, since nothing changes. A patch may be repeated until the watch reports the last one.
    #expect(records.count { $0.verb == "list" } == 2 && records.count { $0.verb == "patch" } <= 8, "\(records)")
    // A third node is added, changed and deleted.
    try server.put(KubeCluster.node("node-c", podCIDRs: ["10.244.3.0/24"], addresses: ["192.0.2.13"]))
    let routes = ["10.244.2.0/24 via 192.0.2.12", "fd00:10:244:2::/64 via 2001:db8::12"]
    try cluster.nodes[0].expectRoutes(routes + ["10.244.3.0/24 via 192.0.2.13"], first)
    try server.merge("node-c", ["metadata": ["annotations": ["flannel.alpha.coreos.com/public-ip": "192.0.2.33"]]])
    try cluster.nodes[0].expectRoutes(routes + ["10.244.3.0/24 via 192.0.2.33"], first)
    try server.delete("node-c")
    try cluster.nodes[0].expectRoutes(routes, first)
    #expect(try cluster.server.count("list") == 2)
  }

  @Test func statusAndMetricsShowTheStore() throws {
    let cluster = try KubeCluster(1)
    try cluster.server.put(KubeCluster.node("node-b", podCIDRs: ["10.244.2.0/24"], addresses: ["192.0.2.12"]))
    // Without an agent `status` reads the API.
    let before = try cluster.status(0)
    #expect(
      before["agentRunning"] == false && before["store"]?.object?["source"]?.string == KubeServer.url, "\(before)")
    #expect(before["peers"]?.array?.count == 1, "\(before)")
    let agent = try cluster.agent(0, "--healthz-port", "8081")
    try cluster.nodes[0].expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent)
    let store = try #require(try cluster.status(0)["store"]?.object)
    #expect(store["kind"]?.string == "kubernetes" && store["connected"] == true, "\(store)")
    let text = try cluster.nodes[0].run(
      [Binaries.hostgw, "status", "--store", "kubernetes"]).output
    #expect(text.contains("Store:   kubernetes https://192.0.2.201:6443, connected, revision "), "\(text)")
    #expect(text.contains("10.244.1.1/24") && text.contains(", held"), "\(text)")
    let metrics = try cluster.nodes[0].sh(
      "curl -sS http://127.0.0.1:8081/metrics; curl -sS http://127.0.0.1:8081/readyz")
    #expect(metrics.contains("causeway_store_up 1\n") && metrics.contains("causeway_lease_held 1\n"), "\(metrics)")
    #expect(metrics.hasSuffix("ok\n"), "\(metrics)")
  }

  @Test func manyNodesAreListedInPages() throws {
    let cluster = try KubeCluster(1, config: ["Network": "10.0.0.0/8"])
    let peers = (0..<1100).map { index in
      KubeCluster.node(
        "peer-\(index)", podCIDRs: ["10.\(100 + index / 256).\(index % 256).0/24"],
        addresses: ["192.0.2.\(12 + index % 50)"])
    }
    for part in stride(from: 0, to: peers.count, by: 275) {
      try cluster.server.command(["do": "put", "nodes": .array(Array(peers[part..<part + 275]))])
    }
    let agent = try cluster.agent(0)
    #expect(try eventually(within: .seconds(30)) { try cluster.nodes[0].podRoutes().count == 1100 }, "\(agent.output)")
    let lists = try cluster.server.records().filter { $0.verb == "list" }
    #expect(lists.count == 3 && lists.allSatisfy { $0.query["limit"] == "500" }, "\(lists)")
    #expect(lists.map { $0.query["continue"] != nil } == [false, true, true])
  }

  @Test func unusableNodesAreSkippedWithAReason() throws {
    let cluster = try KubeCluster(1, config: KubeCluster.dualConfig)
    let server = cluster.server
    try server.put(
      KubeCluster.node(
        "vxlan", podCIDRs: ["10.244.2.0/24"], addresses: ["192.0.2.12"],
        annotations: ["backend-type": "vxlan", "public-ip": "192.0.2.12", "kube-subnet-manager": "true"]),
      // Flannel's host-gw node: its annotation precedes its address, and the overwriting annotation precedes both.
      KubeCluster.node(
        "flannel", podCIDRs: ["10.244.3.0/24"], addresses: ["198.51.100.3"],
        annotations: ["backend-type": "host-gw", "public-ip": "192.0.2.13"]),
      KubeCluster.node(
        "over", podCIDRs: ["10.244.4.0/24"], addresses: ["198.51.100.4"],
        annotations: ["public-ip": "198.51.100.5", "public-ip-overwrite": "192.0.2.14"]),
      // Each family is judged alone.
      KubeCluster.node("six", podCIDRs: ["10.244.5.0/24", "fd00:10:244:5::/64"], addresses: ["2001:db8::15"]),
      KubeCluster.node(
        "half", podCIDRs: ["10.244.6.0/24", "fd00:10:244:6::/64"], addresses: ["192.0.2.16", "2001:db8::16"],
        annotations: ["public-ipv6": "what?"]),
      KubeCluster.node("bad", podCIDRs: ["10.244.7.1/24"], addresses: ["192.0.2.17"]),
      KubeCluster.node("far", podCIDRs: ["10.99.0.0/24"], addresses: ["192.0.2.18"]),
      KubeCluster.node("none", podCIDRs: [], addresses: ["192.0.2.19"]),
      KubeCluster.node("thief", podCIDRs: ["10.244.1.128/25"], addresses: ["192.0.2.20"]),
      KubeCluster.node("odd", podCIDRs: ["10.244.9.0/33", "nonsense"], addresses: ["192.0.2.21"]),
      KubeCluster.node("twin-1", podCIDRs: ["10.244.8.0/24"], addresses: ["192.0.2.22"]),
      KubeCluster.node("twin-2", podCIDRs: ["10.244.8.0/24"], addresses: ["192.0.2.23"]))
    let agent = try cluster.agent(0)
    try cluster.nodes[0].expectRoutes(
      [
        "10.244.3.0/24 via 192.0.2.13", "10.244.4.0/24 via 192.0.2.14", "10.244.6.0/24 via 192.0.2.16",
        "10.244.8.0/24 via 192.0.2.22", "fd00:10:244:5::/64 via 2001:db8::15",
      ], agent)
    #expect(eventually { agent.output.contains("its backend is vxlan") }, "\(agent.output)")
    let peers = try #require(try cluster.status(0)["peers"]?.array?.compactMap(\.object))
    func expect(_ node: String, _ state: String, _ words: String, _ family: String = "IPv4") {
      let peer = peers.first { $0["node"]?.string == node && $0["family"]?.string == family }
      #expect(
        peer?["state"]?.string == state && (peer?["reason"]?.string ?? "").contains(words), "\(node): \(peers)")
    }
    expect("vxlan", "skipped", "its backend is vxlan, only host-gw can be reached")
    expect("six", "no-address", "10.244.5.0/24")
    expect("half", "skipped", "flannel.alpha.coreos.com/public-ipv6 is \"what?\"", "IPv6")
    expect("bad", "skipped", "10.244.7.0/24 would be right")
    expect("far", "skipped", "not in the cluster's network 10.244.0.0/16")
    expect("none", "no-subnet", "")
    expect("thief", "skipped", "it overlaps 10.244.1.0/24 of node-a, which is this node")
    expect("twin-2", "skipped", "it overlaps 10.244.8.0/24 of twin-1")
    // A node that changes its backend gets its route.
    try server.merge("vxlan", ["metadata": ["annotations": ["flannel.alpha.coreos.com/backend-type": "host-gw"]]])
    #expect(
      try eventually { try cluster.nodes[0].podRoutes().contains("10.244.2.0/24 via 192.0.2.12") }, "\(agent.output)")
  }

  @Test func theAgentWaitsForItsPodCIDR() throws {
    let cluster = try KubeCluster(1, isKnown: false)
    try cluster.server.put(KubeCluster.node("node-b", podCIDRs: ["10.244.2.0/24"], addresses: ["192.0.2.12"]))
    let agent = try cluster.agent(0, "--healthz-port", "8081")
    #expect(eventually { agent.output.contains("the cluster has no node node-a") }, "\(agent.output)")
    try cluster.server.put(KubeCluster.node("node-a", addresses: ["192.0.2.11"]))
    #expect(eventually { agent.output.contains("node node-a has no podCIDR yet") }, "\(agent.output)")
    let lease = try cluster.nodes[0].sh("curl -sS http://127.0.0.1:8081/readyz")
    #expect(lease.contains("no podCIDR yet"), "\(lease)")
    // The node is annotated for its peers, and its condition keeps pods away.
    #expect(
      try eventually(within: .seconds(30)) { try cluster.server.condition("node-a")?.first == "True" },
      "\(agent.output)")
    #expect(try cluster.server.condition("node-a")?[2].contains("no podCIDR yet") == true)
    #expect(agent.isRunning)
    try cluster.server.merge("node-a", ["spec": ["podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]]])
    try cluster.nodes[0].expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent)
    #expect(try eventually { try cluster.nodes[0].subnetOfLease() == "10.244.1.0/24" }, "\(agent.output)")
    #expect(try eventually { try cluster.server.condition("node-a")?.first == "False" }, "\(agent.output)")
  }

  @Test func aChangedPodCIDRIsFollowed() throws {
    let cluster = try KubeCluster(2)
    let agent = try cluster.agent(0)
    let peer = try cluster.agent(1)
    try cluster.nodes[1].expectRoutes(["10.244.1.0/24 via 192.0.2.11"], peer)
    #expect(try eventually { try cluster.nodes[0].subnetOfLease() == "10.244.1.0/24" }, "\(agent.output)")
    try cluster.nodes[0].sh("mkdir -p /var/lib/cni/networks/podnet && echo x >/var/lib/cni/networks/podnet/10.244.1.9")
    // In a real cluster this needs a new node with the old name.
    try cluster.server.delete("node-a")
    #expect(eventually { agent.output.contains("the cluster has no node node-a") }, "\(agent.output)")
    #expect(try cluster.nodes[0].subnetOfLease() == "10.244.1.0/24" && cluster.nodes[0].podRoutes().count == 1)
    try cluster.server.put(KubeCluster.node("node-a", podCIDRs: ["10.244.77.0/24"], addresses: ["192.0.2.11"]))
    #expect(try eventually { try cluster.nodes[0].subnetOfLease() == "10.244.77.0/24" }, "\(agent.output)")
    try cluster.nodes[1].expectRoutes(["10.244.77.0/24 via 192.0.2.11"], peer)
    #expect(
      eventually { agent.output.contains("other nodes have no route to pods that live in it") }, "\(agent.output)")
    #expect(try eventually { try cluster.server.annotations("node-a")["public-ip"] == "192.0.2.11" }, "\(agent.output)")
  }

  @Test func peersFollowANewAddressAndAnAnnotationSelectsIt() throws {
    let cluster = try KubeCluster(2)
    let agent = try cluster.agent(0)
    let peer = try cluster.agent(1)
    try cluster.nodes[1].expectRoutes(["10.244.1.0/24 via 192.0.2.11"], peer)
    #expect(try eventually { try cluster.server.annotations("node-a")["public-ip"] == "192.0.2.11" }, "\(agent.output)")
    try cluster.nodes[0].sh("ip address add 192.0.2.50/24 dev eth0")
    try cluster.server.merge(
      "node-a", ["metadata": ["annotations": ["flannel.alpha.coreos.com/node-public-ip": "192.0.2.50"]]])
    try cluster.nodes[1].expectRoutes(["10.244.1.0/24 via 192.0.2.50"], peer)
    // Without a selection the kubelet's address is used, and its changes are followed.
    try cluster.server.merge(
      "node-a",
      [
        "metadata": ["annotations": ["flannel.alpha.coreos.com/node-public-ip": .null]],
        "status": ["addresses": [["type": "InternalIP", "address": "192.0.2.60"]]],
      ])
    try cluster.nodes[0].sh("ip address add 192.0.2.60/24 dev eth0")
    try cluster.nodes[1].expectRoutes(["10.244.1.0/24 via 192.0.2.60"], peer)
    // The overwriting address is published for peers; the node itself uses its own.
    try cluster.server.merge(
      "node-a", ["metadata": ["annotations": ["flannel.alpha.coreos.com/public-ip-overwrite": "192.0.2.11"]]])
    try cluster.nodes[1].expectRoutes(["10.244.1.0/24 via 192.0.2.11"], peer)
    #expect(try eventually { try cluster.server.annotations("node-a")["public-ip"] == "192.0.2.11" }, "\(agent.output)")
    try cluster.nodes[0].expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent)
  }

  @Test func theNetworkConfigurationFileIsFollowed() throws {
    let cluster = try KubeCluster(1, config: ["Network": "10.99.0.0/16", "SubnetLen": 5])
    try cluster.server.put(KubeCluster.node("node-b", podCIDRs: ["10.244.2.0/24"], addresses: ["192.0.2.12"]))
    let node = cluster.nodes[0]
    try node.sh("rm /etc/kube-flannel/net-conf.json")
    let agent = try cluster.agent(0)
    #expect(eventually { agent.output.contains("--net-config-path") }, "\(agent.output)")
    try KubeCluster.write(["Network": "10.99.0.0/16", "SubnetLen": 5], to: node)
    #expect(eventually { agent.output.contains("not in the cluster's network 10.99.0.0/16") }, "\(agent.output)")
    try KubeCluster.write(KubeCluster.config, to: node)
    try node.expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent)
    // An invalid file changes nothing.
    try KubeCluster.write(["Network": "all of it"], to: node)
    #expect(eventually { agent.output.contains("must be an IPv4 network") }, "\(agent.output)")
    try node.expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent)
    try KubeCluster.write(KubeCluster.dualConfig, to: node)
    #expect(
      try eventually {
        try node.sh("cat /run/causeway/subnet.env").contains("FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64")
      },
      "\(agent.output)")
    #expect(try eventually { try cluster.server.annotations("node-a")["backend-v6-data"] == "null" }, "\(agent.output)")
  }

  /// Sets a dropping policy, as Docker does. The node's condition then names it.
  @Test func aDroppingPolicyIsReportedInTheCondition() throws {
    let cluster = try KubeCluster(1)
    try cluster.nodes[0].sh("iptables -P FORWARD DROP")
    let agent = try cluster.agent(0)
    #expect(
      try eventually(within: .seconds(60)) { try cluster.server.condition("node-a")?.first == "True" },
      "\(agent.output)")
    #expect(try cluster.server.condition("node-a")?[2].contains("--forward-insert") == true)
    try cluster.nodes[0].sh("iptables -P FORWARD ACCEPT")
    #expect(
      try eventually(within: .seconds(60)) { try cluster.server.condition("node-a")?.first == "False" },
      "\(agent.output)")
  }

  /// Changes links ten times, because each change makes the agent select the node's address again.
  @Test func aSelectedAddressWithoutLinkIsReportedOnce() throws {
    let cluster = try KubeCluster(1)
    try cluster.server.merge(
      "node-a", ["metadata": ["annotations": ["flannel.alpha.coreos.com/node-public-ip": "192.0.2.99"]]])
    let agent = try cluster.agent(0)
    #expect(eventually { agent.output.contains("192.0.2.99 is chosen") }, "\(agent.output)")
    for number in 1...10 {
      try cluster.nodes[0].sh("ip address add 198.51.100.\(number)/24 dev eth0; sleep 0.1")
    }
    #expect(agent.output.split(separator: "192.0.2.99 is chosen").count == 2, "\(agent.output)")
  }

  @Test func theConditionIsNotChangedUnlessAskedFor() throws {
    let cluster = try KubeCluster(1)
    let agent = try cluster.agent(
      0, "--set-node-network-unavailable=false", "--kube-annotation-prefix", "example.com/net")
    #expect(
      try eventually { "\(try cluster.server.node("node-a") ?? [:])".contains("example.com/net-public-ip") },
      "\(agent.output)")
    #expect(try eventually { try cluster.nodes[0].subnetOfLease() == "10.244.1.0/24" }, "\(agent.output)")
    MonotonicTime.sleep(.seconds(1))
    #expect(try cluster.server.condition("node-a") == nil && cluster.server.annotations("node-a").isEmpty)
  }
}
