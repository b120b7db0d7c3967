import JSON
import Testing
import TestSupport

/// The plugin under the names of the reference plugins: their configurations, defaults, files and errors.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct DropInTests {
  /// A node whose /opt/cni/bin holds the reference plugins, with causeway under three of their names.
  private func node() throws -> TestNode {
    let node = try TestNode()
    try node.sh("cp -a /usr/lib/cni/. /opt/cni/bin/ && \(Binaries.packageRoot)/hack/install --drop-in")
    return node
  }

  private func runtime(_ node: TestNode, _ plugin: String, version: String = "1.0.0") -> Runtime {
    var runtime = Runtime(node: node, plugin: "/opt/cni/bin/\(plugin)", version: version)
    runtime.searchPath = "/opt/cni/bin"
    return runtime
  }

  @Test func installSwitchesOverAndBack() throws {
    let node = try node()
    try node.sh(
      "test \"$(readlink /opt/cni/bin/bridge)\" = causeway && cmp /opt/cni/bin/bridge.before-causeway /usr/lib/cni/bridge"
    )
    try node.sh("\(Binaries.packageRoot)/hack/install --drop-in && \(Binaries.packageRoot)/hack/install --drop-out")
    try node.sh("cmp /opt/cni/bin/bridge /usr/lib/cni/bridge && cmp /opt/cni/bin/host-local /usr/lib/cni/host-local")
    try node.sh("! test -e /opt/cni/bin/flannel && ! test -e /opt/cni/bin/bridge.before-causeway")
  }

  @Test func bridgeHasTheDefaultsOfTheReference() throws {
    let node = try node()
    let bridge = runtime(node, "bridge")
    try node.addPod("a")
    let answer = try bridge.add(
      "a", bridge.configuration(["type": "bridge", "ipam": ["type": "host-local", "subnet": "10.9.0.0/24"]]))
    #expect(try node.addresses("cni0") == [])
    #expect(try node.ip(json: "route", "show", "default", inPod: "a").isEmpty)
    let port = try #require(answer.interfaces[1]["name"]?.string)
    let link = try node.ip(json: "link", "show", "dev", port).first
    #expect(link?["linkinfo"]?.object?["info_slave_data"]?.object?["hairpin"] == false)
    #expect(try node.run(["nft", "list", "table", "inet", "causeway_pods"]).status != 0)
  }

  @Test func bridgeWithoutRangesIsRefused() throws {
    let node = try node()
    try node.addPod("a")
    let bridge = runtime(node, "bridge", version: "1.1.0")
    let configuration = bridge.configuration(["type": "bridge", "ipam": ["type": "host-local"]])
    #expect(try bridge.call("ADD", "a", configuration: configuration).message.contains("no IP ranges specified"))
    #expect(try bridge.call("STATUS", nil, configuration: configuration).message.contains("no IP ranges specified"))
    #expect(try node.remains() == [])
  }

  /// Runs the drop-in commands of conf/docs/install.md on a node with running pods.
  @Test func aNodeWithRunningPodsIsSwitchedOverAndBack() throws {
    let node = try TestNode()
    try node.sh("cp -a /usr/lib/cni/. /opt/cni/bin/")
    let bridge = runtime(node, "bridge")
    let configuration = bridge.configuration([
      "type": "bridge", "isDefaultGateway": true, "ipMasq": true,
      "ipam": ["type": "host-local", "subnet": "10.9.0.0/24"],
    ])
    for pod in ["a", "b", "c"] { try node.addPod(pod) }
    try bridge.add("a", configuration)
    try node.sh("\(Binaries.packageRoot)/hack/install --drop-in")
    #expect(try bridge.add("b", configuration).hosts == ["10.9.0.3"])
    #expect(try node.ping(from: "a", "10.9.0.3") && node.ping(from: "b", "10.9.0.1"))
    // The reference's rules are removed with its pod.
    #expect(try node.sh("iptables-save -t nat").contains("10.9.0.2/32"))
    try bridge.delete("a", configuration)
    #expect(try !node.sh("iptables-save -t nat").contains("CNI-"))
    let back = try node.run([Binaries.packageRoot + "/hack/install", "--drop-out"])
    #expect(back.status == 0 && back.errors.contains("1 pods of causeway run on this node"), "\(back)")
    #expect(try node.ping(from: "b", "10.9.0.1"))
    #expect(try bridge.add("c", configuration).hosts == ["10.9.0.4"])
    // The reference's DEL fails last, over an iptables chain that a pod of causeway never had.
    _ = try bridge.call("DEL", "b", configuration: configuration)
    for pod in ["b", "c"] { try bridge.delete(pod, configuration) }
    #expect(try node.leases() == [] && node.hostVeths() == [])
  }

  // MARK: host-local

  @Test func hostLocalServesTheReferencePtp() throws {
    let node = try node()
    let ptp = runtime(node, "ptp")
    try node.addPod("a")
    let configuration = ptp.configuration([
      "type": "ptp",
      "ipam": ["type": "host-local", "subnet": "10.9.0.0/24", "routes": [["dst": "0.0.0.0/0"]]],
    ])
    #expect(try ptp.add("a", configuration).addresses == ["10.9.0.2/24"])
    #expect(try node.ping(from: "a", "10.9.0.1"))
    try ptp.delete("a", configuration)
    #expect(try node.leases() == [])
  }

  @Test func ourIPAMServesTheReferenceMacvlanFromTheLease() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    try node.sh("cp -a /usr/lib/cni/. /opt/cni/bin/ && \(Binaries.packageRoot)/hack/install")
    try node.hostgw("sync").succeeded()
    let macvlan = runtime(node, "macvlan")
    try node.addPod("a")
    let configuration = macvlan.configuration(["type": "macvlan", "master": "eth0", "ipam": ["type": "causeway"]])
    #expect(try macvlan.add("a", configuration).addresses == ["10.244.1.2/24", "fd00:10:244:1::2/64"])
    #expect(try node.addresses("eth0", inPod: "a") == ["10.244.1.2/24", "fd00:10:244:1::2/64"])
    try macvlan.delete("a", configuration)
    #expect(try node.leases() == [])
  }

  @Test func theReferencesBridgeKeysWorkWithOurIPAM() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    try node.sh("cp -a /usr/lib/cni/. /opt/cni/bin/ && \(Binaries.packageRoot)/hack/install --drop-in")
    try node.hostgw("sync").succeeded()
    try node.addPod("a")
    let bridge = runtime(node, "bridge")
    let configuration = bridge.configuration(["type": "bridge", "isGateway": true, "ipam": ["type": "causeway"]])
    #expect(try bridge.add("a", configuration).addresses == ["10.244.1.2/24", "fd00:10:244:1::2/64"])
    #expect(try node.ping(from: "a", "10.244.1.1"))
    try bridge.delete("a", configuration)
    #expect(try node.remains() == [])
  }

  // MARK: Reference IPAM plugins

  @Test func theReferenceStaticGivesAddresses() throws {
    let node = try node()
    let bridge = runtime(node, "bridge")
    try node.addPod("a")
    let configuration = bridge.configuration([
      "type": "bridge", "isGateway": true,
      "ipam": [
        "type": "static", "addresses": [["address": "10.9.0.7/24", "gateway": "10.9.0.1"]],
        "routes": [["dst": "0.0.0.0/0"]], "dns": ["nameservers": ["192.0.2.53"]],
      ],
    ])
    let answer = try bridge.add("a", configuration)
    #expect(answer.addresses == ["10.9.0.7/24"])
    #expect(answer.json?["dns"] == ["nameservers": ["192.0.2.53"]])
    #expect(try node.ping(from: "a", "10.9.0.1"))
    var check = configuration
    check["prevResult"] = .object(try #require(answer.json))
    try bridge.call("CHECK", "a", configuration: check).process.succeeded()
    try bridge.delete("a", configuration)
    #expect(try node.remains() == [])
  }

  @Test func aBridgeWithoutGatewayAddsNoGatewayToADelegatesResult() throws {
    let node = try node()
    let bridge = runtime(node, "bridge")
    try node.addPod("a")
    var configuration = bridge.configuration([
      "type": "bridge",
      "ipam": ["type": "static", "addresses": [["address": "10.9.0.7/24"], ["address": "fd00:9::7/64"]]],
    ])
    let ips = try bridge.add("a", configuration).json?["ips"]?.array?.compactMap(\.object) ?? []
    #expect(ips.count == 2 && ips.allSatisfy { $0["gateway"] == nil }, "\(ips)")
    #expect(try node.addresses("eth0", inPod: "a") == ["10.9.0.7/24", "fd00:9::7/64"])
    try bridge.delete("a", configuration)
    configuration["isGateway"] = true
    #expect(
      try bridge.add("a", configuration).json?["ips"]?.array?.compactMap { $0.object?["gateway"]?.string }
        == ["10.9.0.1", "fd00:9::1"])
  }

  @Test func aDelegatesErrorIsPassedOnAndLeavesNothing() throws {
    let node = try node()
    let bridge = runtime(node, "bridge", version: "1.1.0")
    try node.addPod("a")
    try node.sh(
      """
      cat >/opt/cni/bin/broken <<'END'
      #!/bin/sh
      echo "$CNI_COMMAND" >>/run/calls
      echo '{"code": 123, "msg": "out of luck", "details": "today"}'
      exit 1
      END
      chmod +x /opt/cni/bin/broken
      """)
    let configuration = bridge.configuration(["type": "bridge", "ipam": ["type": "broken"]])
    let answer = try bridge.call("ADD", "a", configuration: configuration)
    #expect(answer.code == 123 && answer.message == "out of luck; today", "\(answer)")
    #expect(try node.remains() == [])
    #expect(try node.lines("cat /run/calls") == ["ADD", "DEL"])
    #expect(try bridge.call("STATUS", nil, configuration: configuration).code == 123)
    let missing = try bridge.call(
      "ADD", "a", configuration: bridge.configuration(["type": "bridge", "ipam": ["type": "none-such"]]))
    #expect(missing.message.contains("failed to find plugin \"none-such\" in path [/opt/cni/bin]"), "\(missing)")
  }

  // MARK: flannel

  @Test func flannelsConfigurationWorksUnchanged() throws {
    let cluster = try Cluster(2)
    var hosts: [String] = []
    for (index, node) in cluster.nodes.enumerated() {
      try node.sh("\(Binaries.packageRoot)/hack/install --drop-in >/dev/null; cp /usr/lib/cni/portmap /opt/cni/bin/")
      try node.hostgw("sync", "--subnet-file", "/run/flannel/subnet.env", "--ip-masq").succeeded()
      let flannel = runtime(node, "flannel", version: "0.3.1")
      try node.addPod("a")
      let configuration: JSONObject = [
        "name": "cbr0", "cniVersion": "0.3.1", "type": "flannel",
        "delegate": ["hairpinMode": true, "isDefaultGateway": true],
      ]
      let answer = try flannel.add("a", configuration)
      #expect(answer.addresses == ["10.244.\(index + 1).2/24", "fd00:10:244:\(index + 1)::2/64"])
      #expect(answer.json?["routes"]?.array?.compactMap { $0.object?["dst"]?.string }.contains("10.244.0.0/16") == true)
      #expect(try node.leases().contains("/var/lib/cni/networks/cbr0/10.244.\(index + 1).2"))
      // The lease says that the node masquerades, so the pod has no rule.
      #expect(try node.run(["nft", "list", "table", "inet", "causeway_pods"]).status != 0)
      hosts = answer.hosts
    }
    for host in hosts { #expect(try cluster.nodes[0].ping(from: "a", host)) }
    let node = cluster.nodes[0]
    // A file of flannel's plugin, as it leaves one for each pod.
    try node.sh("mkdir -p /var/lib/cni/flannel && touch /var/lib/cni/flannel/a /var/lib/cni/flannel/b")
    try runtime(node, "flannel", version: "0.3.1").delete(
      "a", ["name": "cbr0", "cniVersion": "0.3.1", "type": "flannel"])
    #expect(try node.remains() == [])
    #expect(try node.lines("ls /var/lib/cni/flannel") == ["b"])
  }

  /// Checks that DEL and GC remove flannel's files of their pods, and ignore those that cannot be removed.
  @Test func flannelsFilesDelayNoDelete() throws {
    let node = try node()
    let flannel = runtime(node, "flannel", version: "1.1.0")
    var configuration: JSONObject = ["name": "cbr0", "cniVersion": "1.1.0", "type": "flannel"]
    try node.sh(
      """
      mkdir -p /var/lib/cni/flannel/a /var/lib/cni/networks/cbr0
      printf 'c\\r\\neth0' >/var/lib/cni/networks/cbr0/10.9.0.2
      printf 'b\\r\\neth0' >/var/lib/cni/networks/cbr0/10.9.0.3
      touch /var/lib/cni/flannel/b /var/lib/cni/flannel/c
      """)
    // A directory cannot be removed as a file.
    let answer = try flannel.call("DEL", nil, id: "a", configuration: configuration)
    #expect(answer.process.status == 0 && answer.process.errors.contains("/var/lib/cni/flannel/a"), "\(answer)")
    configuration["cni.dev/valid-attachments"] = [["containerID": "c", "ifname": "eth0"]]
    try flannel.call("GC", nil, configuration: configuration).process.succeeded()
    #expect(try node.lines("ls /var/lib/cni/flannel") == ["a", "c"])
  }

  @Test func flannelRefusesKeysThatItSetsItself() throws {
    let node = try node()
    try node.addPod("a")
    let flannel = runtime(node, "flannel")
    let answer = try flannel.call(
      "ADD", "a", configuration: ["name": "cbr0", "cniVersion": "1.0.0", "type": "flannel", "delegate": ["ipam": [:]]])
    #expect(answer.message.contains("'delegate' dictionary must not have 'ipam' field"), "\(answer)")
    #expect(
      try flannel.call("ADD", "a", configuration: ["name": "cbr0", "cniVersion": "1.0.0", "type": "flannel"]).code == 11
    )
  }

  // MARK: Together with the reference

  @Test func leasesAreSharedWithTheReferenceInBothDirections() throws {
    let node = try node()
    let ours = runtime(node, "bridge")
    var reference = ours
    reference.plugin = "/usr/lib/cni/bridge"
    reference.searchPath = "/usr/lib/cni"
    let configuration = ours.configuration([
      "type": "bridge", "isGateway": true, "ipam": ["type": "host-local", "subnet": "10.9.0.0/24"],
    ])
    for pod in ["a", "b", "c"] { try node.addPod(pod) }
    #expect(try reference.add("a", configuration).hosts == ["10.9.0.2"])
    #expect(try ours.add("b", configuration).hosts == ["10.9.0.3"])
    #expect(try reference.add("c", configuration).hosts == ["10.9.0.4"])
    #expect(try node.ping(from: "a", "10.9.0.3"))
    try reference.delete("b", configuration)
    for pod in ["a", "c"] { try ours.delete(pod, configuration) }
    #expect(try node.leases() == [])
    #expect(try node.hostVeths() == [])
  }

  // MARK: Chains

  @Test(
    arguments: [
      [
        "type": "portmap",
        "runtimeConfig": ["portMappings": [["hostPort": 8080, "containerPort": 80, "protocol": "tcp"]]],
      ],
      ["type": "tuning", "sysctl": ["net.core.somaxconn": "500"], "mtu": 1400],
      ["type": "firewall", "backend": "iptables"],
      ["type": "bandwidth", "ingressRate": 8_000_000, "ingressBurst": 8_000_000],
    ] as [JSONValue])
  func worksInAChainWith(_ next: JSONValue) throws {
    let node = try node()
    let bridge = runtime(node, "bridge")
    try node.addPod("a")
    let configuration = bridge.configuration([
      "type": "bridge", "isDefaultGateway": true, "ipam": ["type": "host-local", "ranges": bridge.ranges(.dual)],
    ])
    let first = try bridge.add("a", configuration)
    var chained = try #require(next.object)
    chained["name"] = "podnet"
    chained["cniVersion"] = "1.0.0"
    chained["prevResult"] = .object(try #require(first.json))
    let plugin = runtime(node, try #require(chained["type"]?.string))
    let second = try plugin.add("a", chained)
    #expect(second.addresses == first.addresses)
    var check = configuration
    check["prevResult"] = .object(try #require(second.json))
    chained["prevResult"] = .object(try #require(second.json))
    try bridge.call("CHECK", "a", configuration: check).process.succeeded()
    // portmap 1.1.1 searches the rules of one family for those of the other.
    if plugin.plugin != "/opt/cni/bin/portmap" {
      try plugin.call("CHECK", "a", configuration: chained).process.succeeded()
    }
    try plugin.delete("a", chained)
    try bridge.delete("a", check)
    #expect(try node.remains() == [])
  }

  /// Limits one of two pods, on the port that the result names.
  @Test func aBandwidthLimitAppliesToOnePod() throws {
    let node = try node()
    let bridge = runtime(node, "bridge")
    let configuration = bridge.configuration([
      "type": "bridge", "isDefaultGateway": true, "ipam": ["type": "host-local", "ranges": bridge.ranges(.v4)],
    ])
    for pod in ["a", "b"] { try node.addPod(pod) }
    let answers = try ["a", "b"].map { try bridge.add($0, configuration) }
    let limit: JSONObject = [
      "name": "podnet", "cniVersion": "1.0.0", "type": "bandwidth", "ingressRate": 8_000_000, "ingressBurst": 8_000_000,
      "prevResult": .object(try #require(answers[0].json)),
    ]
    try runtime(node, "bandwidth").add("a", limit)
    let shapers = try answers.map { answer in
      let port = try #require(answer.interfaces[1]["name"]?.string)
      return try node.sh("tc qdisc show dev \(port)").contains("tbf")
    }
    #expect(shapers == [true, false])
    try runtime(node, "bandwidth").delete("a", limit)
    for pod in ["a", "b"] { try bridge.delete(pod, configuration) }
    #expect(try node.remains() == [])
  }
}
