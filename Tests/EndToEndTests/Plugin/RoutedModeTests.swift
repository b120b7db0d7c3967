import JSON
import Testing
import TestSupport

/// `"mode": "routed"`: pods without a bridge, with the shipped plugin.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct RoutedModeTests {
  private func configuration(_ runtime: Runtime, _ keys: JSONObject = [:]) -> JSONObject {
    var configuration = runtime.configuration(["mode": "routed"])
    for member in keys.members { configuration[member.name] = member.value }
    return configuration
  }

  /// A node with addresses of its own, because it needs a source address to reach its pods.
  private func node() throws -> TestNode {
    let node = try TestNode()
    try node.sh(
      """
      ip link add uplink type veth peer name beyond && ip link set uplink up && ip link set beyond up
      ip address add 192.0.2.1/24 dev uplink && ip address add 2001:db8::1/64 dev uplink nodad
      until [ "$(ip -6 route | grep -c '^fe80::/64')" = 2 ]; do sleep 0.02; done
      """)
    return node
  }

  @Test(arguments: Runtime.versions.filter { $0 >= "0.3.0" }, Runtime.Families.allCases)
  func podsReachEachOtherAndTheNodeAndLeaveNothing(_ version: String, _ families: Runtime.Families) throws {
    let node = try node()
    let runtime = Runtime(node: node, version: version)
    let configuration = configuration(runtime, ["ipMasq": true, "ipam": ["ranges": runtime.ranges(families)]])
    let before = try node.sh("ip route; ip -6 route; nft list ruleset")
    var answers: [Runtime.Answer] = []
    for pod in ["a", "b"] {
      try node.addPod(pod)
      answers.append(try runtime.add(pod, configuration))
    }
    // Host's end, then pod's end: chained plugins rely on this order.
    #expect(answers[0].interfaces.map { $0["sandbox"]?.string } == [nil, "/run/netns/a"])
    #expect(answers[0].addresses.allSatisfy { $0.hasSuffix("/32") || $0.hasSuffix("/128") })
    #expect(try node.ip(json: "link", "show", "type", "bridge").isEmpty)
    for (pod, other) in [("a", answers[1]), ("b", answers[0])] {
      for host in other.hosts { #expect(try node.ping(from: pod, host), "\(pod) to \(host)") }
      if families != .v6 { #expect(try node.ping(from: pod, "192.0.2.1")) }
      if families != .v4 { #expect(try node.ping(from: pod, "2001:db8::1")) }
    }
    for host in answers[0].hosts {
      #expect(try node.ping(host))
      let routes = try node.ip(json: host.contains(":") ? "-6" : "-4", "route", "show", host)
      #expect(routes.map { $0["protocol"]?.string } == ["203"])
    }
    // The gateway's MAC is a permanent entry, so no answer from the network can change it.
    let neighbours = try node.ip(json: "neighbour", "show", "nud", "permanent", inPod: "a").map {
      $0["dst"]?.string ?? ""
    }
    let gateways = [families == .v6 ? nil : "169.254.1.1", families == .v4 ? nil : "fe80::1"].compactMap { $0 }
    #expect(gateways.allSatisfy(neighbours.contains))
    for (pod, answer) in zip(["a", "b"], answers) {
      if version >= "0.4.0" { try runtime.check(pod, answer, configuration: configuration).process.succeeded() }
      try runtime.delete(pod, configuration)
    }
    #expect(try node.hostVeths().isEmpty && node.leases().isEmpty && node.records().isEmpty)
    #expect(try node.sh("ip route; ip -6 route") == before)
    #expect(try node.lines("nft list ruleset | grep -c podnet: || true") == ["0"])
  }

  /// Checks that packets of a pod with another source address are dropped.
  @Test func aPodIsHeldToItsAddresses() throws {
    let node = try node()
    let runtime = Runtime(node: node)
    let configuration = configuration(runtime)
    for pod in ["a", "b"] { try node.addPod(pod) }
    try runtime.add("a", configuration)
    let other = try runtime.add("b", configuration)
    try node.sh("ip -n a address add 10.9.0.200/32 dev eth0 && ip -n a address add fd00:9::200/128 dev eth0 nodad")
    /// Whether packets from a false source arrive, counted at the receiver: an answer could be lost for another reason.
    func arrive(at host: String, from source: String) throws -> Bool {
      let family = host.contains(":") ? "ip6" : "ip"
      try node.sh(
        """
        ip netns exec b nft 'add table inet count; add chain inet count input { type filter hook input priority 0; }; \
          add rule inet count input \(family) saddr \(source) counter'
        ip netns exec a ping -c 1 -W 1 -I \(source) \(host) || true
        """)
      defer { _ = try? node.sh("ip netns exec b nft delete table inet count") }
      return try !node.sh("ip netns exec b nft list table inet count").contains("packets 0 ")
    }
    let sources = other.hosts.map { ($0, $0.contains(":") ? "fd00:9::200" : "10.9.0.200") }
    for (host, source) in sources {
      #expect(try !arrive(at: host, from: source), "\(source)")
      #expect(try node.ping(from: "a", host))
    }
    try node.sh("nft flush set inet causeway_routed links")
    for (host, source) in sources {
      #expect(try arrive(at: host, from: source), "packets from \(source) were not dropped by the check")
    }
  }

  /// Runs pods of both modes in one subnet, as while a node is moved to the other mode.
  @Test(arguments: [true, false])
  func bridgeAndRoutedPodsReachEachOther(_ routedFirst: Bool) throws {
    let node = try node()
    let runtime = Runtime(node: node)
    let pods = ["a", "b", "c", "d"]
    var hosts: [[String]] = []
    for (index, pod) in pods.enumerated() {
      try node.addPod(pod)
      let isRouted = (index % 2 == 0) == routedFirst
      hosts.append(try runtime.add(pod, isRouted ? configuration(runtime) : runtime.configuration()).hosts)
    }
    for (index, pod) in pods.enumerated() {
      for host in hosts.enumerated().filter({ $0.offset != index }).flatMap(\.element) {
        #expect(try node.ping(from: pod, host), "\(pod) to \(host)")
      }
    }
    // The node answers on the bridge for its routed pods' addresses only.
    #expect(try node.lines("ip neigh show proxy | grep -v 169.254.1.1 || true").count == 4)
    try runtime.delete(routedFirst ? "a" : "b", configuration(runtime))
    #expect(try node.lines("ip neigh show proxy | grep -v 169.254.1.1 || true").count == 2)
    // GC removes both kinds.
    try runtime.collect(keeping: [], runtime.configuration())
    #expect(try node.hostVeths().isEmpty && node.leases().isEmpty && node.records().isEmpty)
    #expect(try node.lines("ip neigh show proxy | grep -v 169.254.1.1 || true").isEmpty)
    #expect(try node.sh("ip route show proto 203; ip -6 route show proto 203").isEmpty)
    #expect(try node.lines("nft list table inet causeway_routed | grep -c comment || true") == ["0"])
  }

  /// Runs pods of both modes on the lease of each node, beside the helper's routes.
  @Test func podsOfTwoNodesReachEachOther() throws {
    let cluster = try Cluster(2)
    var hosts: [String: [String]] = [:]
    for (index, node) in cluster.nodes.enumerated() {
      try node.hostgw("sync").succeeded()
      for (pod, mode) in [("a", "routed"), ("b", "bridge")] {
        try node.addPod(pod)
        let keys: JSONObject = ["mode": .string(mode), "ipam": [:]]
        hosts["\(index)\(pod)"] = try Runtime(node: node).add(pod, Runtime(node: node).configuration(keys)).hosts
      }
    }
    for (index, node) in cluster.nodes.enumerated() {
      for pod in ["a", "b"] {
        for host in hosts.filter({ $0.key != "\(index)\(pod)" }).flatMap(\.value) {
          #expect(try node.ping(from: pod, host), "\(index)\(pod) to \(host)")
        }
      }
      // The helper leaves the plugin's routes alone.
      try node.hostgw("sync").succeeded()
      #expect(try node.lines("ip route show proto 203; ip -6 route show proto 203").count == 2)
    }
  }

  @Test(
    arguments: [
      ("promiscMode", true), ("macspoofchk", true), ("portIsolation", true), ("forceAddress", true), ("vlan", 5),
      ("enabledad", true), ("mode", "mesh"), ("ipam", ["type": "none"]),
    ] as [(String, JSONValue)])
  func optionsWithoutMeaningAreRefused(_ key: String, _ value: JSONValue) throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let answer = try runtime.call("ADD", "a", configuration: configuration(runtime, [key: value]))
    #expect(answer.code == 2 || answer.code == 7, "\(answer)")
    #expect(answer.message.contains(key), "\(answer)")
    #expect(try node.hostVeths().isEmpty && node.leases().isEmpty && node.records().isEmpty)
  }

  @Test func aForeignRouteIsNotReplaced() throws {
    let node = try node()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try node.sh("ip route add 10.9.0.2 via 192.0.2.9")
    let answer = try runtime.call("ADD", "a", configuration: configuration(runtime))
    #expect(answer.message.contains("somebody else's route to 10.9.0.2/32 is in the way"), "\(answer)")
    #expect(try node.sh("ip route show 10.9.0.2").hasPrefix("10.9.0.2 via 192.0.2.9"))
    #expect(try node.hostVeths().isEmpty && node.leases().isEmpty && node.records().isEmpty)
    try node.sh("ip route delete 10.9.0.2")
    // A route that a lost pod left is replaced.
    try node.sh("ip route add 10.9.0.3 dev uplink proto 203")
    try runtime.add("a", configuration(runtime))
    #expect(try node.ping(from: "a", "192.0.2.1"))
  }

  @Test(arguments: [
    ("ip route delete 10.9.0.2", "the node has lost its route to 10.9.0.2"),
    ("nft flush set inet causeway_routed sources4", "to 10.9.0.2 is gone"),
    ("ip -n a route delete default", "the container has lost its route to 0.0.0.0/0"),
  ])
  func checkFindsWhatIsMissing(_ harm: String, _ words: String) throws {
    let node = try node()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let configuration = configuration(runtime)
    let answer = try runtime.add("a", configuration)
    try node.sh(harm)
    let check = try runtime.check("a", answer, configuration: configuration)
    #expect(check.code == 100 && check.message.contains(words), "\(check)")
  }

  /// Connects pods to themselves through a hostPort: the packet leaves by the link by which it came.
  @Test func aHostPortWorksFromThePodItself() throws {
    let node = try node()
    let runtime = Runtime(node: node, version: "1.0.0", searchPath: "\(Binaries.directory):/usr/lib/cni")
    let configuration = configuration(runtime)
    for pod in ["a", "b"] { try node.addPod(pod) }
    let answer = try runtime.add("a", configuration)
    try runtime.add("b", configuration)
    var portmap = runtime.configuration(configuration, after: answer)
    portmap["type"] = "portmap"
    portmap["runtimeConfig"] = ["portMappings": [["hostPort": 8080, "containerPort": 80, "protocol": "tcp"]]]
    let mapped = Runtime(node: node, plugin: "/usr/lib/cni/portmap", searchPath: runtime.searchPath)
    try mapped.call("ADD", "a", configuration: portmap).process.succeeded()
    let server = try node.start(["ip", "netns", "exec", "a", "busybox", "httpd", "-f", "-p", "80", "-h", "/etc"])
    defer { server.stop() }
    for command in [
      ["ip", "netns", "exec", "a"], ["ip", "netns", "exec", "b"], [],
    ] {
      let request = "exec 3<>/dev/tcp/192.0.2.1/8080; printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
      let isServed = try eventually {
        try node.run(command + ["timeout", "3", "bash", "-c", request]).output.contains(" 200 ")
      }
      #expect(isServed, "by \(command)")
    }
    try mapped.call("DEL", "a", configuration: portmap).process.succeeded()
    try runtime.delete("a", configuration)
  }

  /// Adds networks to a pod. If their default routes had one metric, the kernel would alternate between the gateways.
  @Test(arguments: [["routed", "routed", "routed"], ["routed", "bridge", "routed"], ["bridge", "routed", "bridge"]])
  func theFirstNetworkKeepsItsDefaultRoute(_ modes: [String]) throws {
    let node = try node()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    for (interface, mode) in zip(["eth0", "net1", "net2"], modes) {
      try runtime.add("a", interface: interface, configuration(runtime, ["mode": .string(mode)]))
    }
    for _ in 1...6 {
      for host in ["192.0.2.1", "2001:db8::1"] {
        #expect(try node.sh("ip -n a route get \(host)").contains(" dev eth0 "))
        #expect(try node.ping(from: "a", host))
      }
    }
  }

  /// Changes the pod's MAC, as the reference's `tuning` does. The kernel then removes the pod's neighbour entries.
  @Test func aPodWhoseMACChangesIsStillReached() throws {
    let node = try node()
    try node.sh("ip route add default via 192.0.2.254")
    let runtime = Runtime(node: node)
    for pod in ["a", "b"] { try node.addPod(pod) }
    try runtime.add("a", configuration(runtime))
    let other = try runtime.add("b", configuration(runtime))
    for host in other.hosts { #expect(try node.ping(from: "a", host)) }
    try node.sh("ip -n a link set eth0 address 02:00:00:00:00:05")
    for host in other.hosts {
      let isReached = try eventually(within: .seconds(15)) { try node.ping(from: "a", host) }
      #expect(isReached, "\(host)")
    }
  }

  @Test func anAddressOfALivingPodIsNotTakenOver() throws {
    let node = try node()
    let runtime = Runtime(node: node)
    for pod in ["a", "b"] { try node.addPod(pod) }
    try runtime.add("a", configuration(runtime))
    var another = configuration(runtime)
    another["name"] = "another"
    let answer = try runtime.call("ADD", "b", configuration: another)
    #expect(answer.message.contains("podnet:a:eth0 has the address 10.9.0.2 already"), "\(answer)")
    #expect(try node.ping(from: "a", "192.0.2.1") && node.hostVeths().count == 1 && node.leases().count == 2)
  }

  /// Runs with IPv6 switched off on new links.
  @Test func ipv6IsSwitchedOnForThePodsLink() throws {
    let node = try node()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try node.sh("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
    try runtime.add("a", configuration(runtime))
    #expect(try node.ping(from: "a", "2001:db8::1"))
  }

  /// Changes the mode in the configuration of a running pod.
  @Test(arguments: [("routed", "bridge"), ("bridge", "routed")])
  func checkAndDeleteUseTheModeOfADD(_ made: String, _ now: String) throws {
    let node = try node()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let answer = try runtime.add("a", configuration(runtime, ["mode": .string(made)]))
    try runtime.check("a", answer, configuration: configuration(runtime, ["mode": .string(now)])).process.succeeded()
    try runtime.delete("a", configuration(runtime, ["mode": .string(now), "bridge": "other0"]))
    #expect(try node.hostVeths().isEmpty && node.leases().isEmpty && node.records().isEmpty)
    #expect(try node.lines("ip neigh show proxy | grep -v 169.254.1.1 || true").isEmpty)
  }

  @Test func bandwidthPluginWorksInRoutedMode() throws {
    let node = try node()
    let runtime = Runtime(node: node, version: "1.0.0")
    try node.addPod("a")
    let configuration = configuration(runtime)
    let answer = try runtime.add("a", configuration)
    var limited = runtime.configuration(configuration, after: answer)
    limited["type"] = "bandwidth"
    limited["runtimeConfig"] = ["bandwidth": ["ingressRate": 8_000_000, "ingressBurst": 800_000]]
    let bandwidth = Runtime(node: node, plugin: "/usr/lib/cni/bandwidth", searchPath: "/usr/lib/cni")
    let after = try bandwidth.call("ADD", "a", configuration: limited)
    try after.process.succeeded()
    let link = try #require(node.hostVeths().first)
    #expect(try node.sh("tc qdisc show dev \(link)").contains("tbf"))
    #expect(try node.ping(from: "a", "192.0.2.1"))
    try runtime.check("a", after, configuration: configuration).process.succeeded()
    try bandwidth.call("DEL", "a", configuration: limited).process.succeeded()
    try runtime.delete("a", configuration)
    #expect(try node.hostVeths().isEmpty && node.leases().isEmpty)
  }

  @Test func capabilitiesAndStatusWork() throws {
    let node = try node()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    var configuration = configuration(runtime)
    try runtime.call("STATUS", nil, configuration: configuration).process.succeeded()
    configuration["runtimeConfig"] = ["ips": ["10.9.0.77", "fd00:9::77"], "mac": "02:00:00:00:00:77"]
    let answer = try runtime.add("a", configuration)
    #expect(answer.hosts == ["10.9.0.77", "fd00:9::77"])
    #expect(answer.interfaces.last?["mac"]?.string == "02:00:00:00:00:77")
    #expect(try node.ping(from: "a", "192.0.2.1") && node.ping(from: "a", "2001:db8::1"))
    configuration["ipam"] = ["ranges": [[["subnet": "10.9.0.0/24"]]], "dataDir": "/proc/nowhere"]
    #expect(try runtime.call("STATUS", nil, configuration: configuration).code == 50)
  }

  /// Adds more pods than a bridge has ports; ADD does not take longer for it. Each namespace has many interfaces,
  /// because only the node's side matters.
  @Test(.timeLimit(.minutes(5))) func fifteenHundredPodsAreAdded() throws {
    let (node, peer, segment) = try (TestNode(), TestNode(), TestSegment())
    try segment.connect(node, addresses: ["192.0.2.1/24"])
    try segment.connect(peer, addresses: ["192.0.2.2/24"])
    try peer.sh("ip route add 10.9.0.0/20 via 192.0.2.1")
    let runtime = Runtime(node: node)
    let configuration = configuration(
      runtime,
      [
        "ipam": ["ranges": [[["subnet": "10.9.0.0/20"]]]]
      ])
    let text = try JSONValue.object(configuration).text()
    for index in 0..<60 { try node.addPod("n\(index)") }
    let script = """
      export CNI_COMMAND=$1 CNI_PATH=/
      for n in $(seq 0 59); do for i in $(seq 25); do
        CNI_CONTAINERID=n$n CNI_IFNAME=net$i CNI_NETNS=/run/netns/n$n \(Binaries.causeway) <<<"$CONF" >/dev/null || exit 1
      done; done
      """
    try node.run(
      ["/bin/bash", "-c", script, "bash", "ADD"], environment: ["CONF": text], limit: .seconds(200)
    ).succeeded()
    #expect(try node.lines("ip route show proto 203 | wc -l") == ["1500"])
    #expect(try node.leases().count == 1500)
    // A namespace's first interface has its default route.
    for host in ["10.9.0.2", "10.9.2.190", "10.9.5.197"] {
      #expect(try node.ping(host))
      #expect(try node.ping(from: "n3", host))
      #expect(try peer.ping(host))
    }
    #expect(try node.ping(from: "n59", "192.0.2.2"))
    try node.run(
      ["/bin/bash", "-c", script, "bash", "DEL"], environment: ["CONF": text], limit: .seconds(200)
    ).succeeded()
    #expect(try node.leases().isEmpty && node.hostVeths().isEmpty)
    #expect(try node.lines("nft list table inet causeway_routed | grep -c comment || true") == ["0"])
  }
}
