import JSON
import Testing
import TestSupport

/// A node switched from the reference plugins to causeway while their pods ran: what they made for a pod on the node goes
/// with the pod, and nothing else does.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct ReferenceRulesTests {
  /// On what the program `iptables` works, with which the reference plugin masquerades.
  enum Tables: String, CaseIterable {
    case nft
    case legacy
  }

  /// A node with a pod `b` of the reference plugin that stays, rules of nobody's pods, and a host outside.
  private struct Fixture {
    let segment: TestSegment
    let node: TestNode
    let outside: TestNode
    let ours: Runtime
    let reference: Runtime
    let tables: Tables
    let configuration: JSONObject
    /// The rules when `b` is the only pod.
    let baseline: [String]

    init(_ tables: Tables) throws {
      self.tables = tables
      segment = try TestSegment()
      node = try TestNode()
      outside = try TestNode()
      try segment.connect(node, addresses: ["192.0.2.1/24", "2001:db8::1/64"])
      try segment.connect(outside, addresses: ["192.0.2.99/24", "2001:db8::99/64"])
      try node.sh(
        """
        cp -a /usr/lib/cni/. /opt/cni/bin/ && \(Binaries.packageRoot)/hack/install --drop-in
        mkdir /run/legacy /run/nft
        for name in iptables ip6tables; do
          for part in '' -restore -save; do
            ln -s "$(command -v $name-legacy$part)" /run/legacy/$name$part
            ln -s "$(command -v $name-nft$part)" /run/nft/$name$part
          done
        done
        for tables in "/run/\(tables)/iptables" "/run/\(tables)/ip6tables"; do
          $tables -t nat -N CNI-0123456789abcdef01234567
          $tables -t nat -A POSTROUTING -m comment --comment 'name: "podnet" id: "a"' -j CNI-0123456789abcdef01234567
          $tables -t nat -A POSTROUTING -o lo -j MASQUERADE
        done
        nft add table bridge nat
        nft add chain bridge nat PREROUTING '{ type filter hook prerouting priority -300; }'
        nft add chain bridge nat mine
        nft add rule bridge nat PREROUTING iifname nobody jump mine
        """)
      var ours = Runtime(node: node, plugin: "/opt/cni/bin/bridge", version: "1.0.0")
      ours.searchPath = "/opt/cni/bin"
      self.ours = ours
      var reference = ours
      reference.plugin = "/usr/lib/cni/bridge"
      reference.searchPath = "/usr/lib/cni"
      self.reference = reference
      configuration = Fixture.configuration(ours)
      baseline = try Fixture.add("b", configuration, reference, tables).rules()
    }

    static func configuration(_ runtime: Runtime, name: String = "podnet", bridge: String = "cni0") -> JSONObject {
      let ranges: JSONValue = name == "podnet" ? runtime.ranges(.dual) : [[["subnet": "10.8.0.0/24"]]]
      return runtime.configuration(
        [
          "type": "bridge", "bridge": .string(bridge), "isDefaultGateway": true, "ipMasq": true, "macspoofchk": true,
          "ipam": ["type": "host-local", "ranges": ranges],
        ], name: name)
    }

    /// ADD by the reference plugin, in a new namespace where the pod is none yet.
    private static func add(
      _ pod: String, _ configuration: JSONObject, _ reference: Runtime, _ tables: Tables, interface: String = "eth0"
    ) throws -> TestNode {
      try reference.node.sh("ip netns list | grep -qw \(pod) || ip netns add \(pod)")
      try reference.call(
        "ADD", pod, interface: interface, configuration: configuration,
        environment: ["PATH": "/run/\(tables):/usr/sbin:/usr/bin"]
      ).process.succeeded()
      return reference.node
    }

    func add(_ pod: String, _ configuration: JSONObject? = nil, interface: String = "eth0") throws {
      _ = try Fixture.add(pod, configuration ?? self.configuration, reference, tables, interface: interface)
    }

    func rules() throws -> [String] { try node.rules() }

    /// Whether `b` still is masqueraded, and held to its MAC.
    func expectThatTheOtherPodIsWell() throws {
      #expect(try node.ping(from: "b", "192.0.2.99") && node.ping(from: "b", "2001:db8::99"))
      let mac = try node.sh("ip -json -netns b link show eth0 | jq -r '.[0].address'").filter { !$0.isNewline }
      try node.sh("ip -netns b link set eth0 address 02:00:00:00:00:66")
      #expect(try !node.ping(from: "b", "192.0.2.99", within: 2))
      try node.sh("ip -netns b link set eth0 address \(mac)")
      #expect(try node.ping(from: "b", "192.0.2.99"))
    }

    func collect(keeping pods: [String], _ keys: JSONObject = [:]) throws -> Runtime.Answer {
      var configuration = configuration
      configuration["cniVersion"] = "1.1.0"
      configuration["cni.dev/valid-attachments"] = .array(
        pods.map { ["containerID": .string($0), "ifname": "eth0"] })
      for member in keys.members { configuration[member.name] = member.value }
      return try ours.call("GC", nil, configuration: configuration)
    }
  }

  enum Namespace: CaseIterable {
    case there
    case notTold
    case gone
  }

  @Test(arguments: Tables.allCases, Namespace.allCases)
  func deleteTakesThePodsRules(_ tables: Tables, _ namespace: Namespace) throws {
    let fixture = try Fixture(tables)
    try fixture.add("a")
    let added = try fixture.rules().filter { !fixture.baseline.contains($0) }
    // For each family a chain with two rules and one that leads there; for the MAC four rules in two chains.
    #expect(added.count == 2 * 4 + 4 + 2, "\(added)")
    if namespace == .gone { try fixture.node.removePod("a") }
    for _ in 1...2 {
      let pod = namespace == .there ? "a" : nil
      let answer = try fixture.ours.call("DEL", pod, id: "a", configuration: fixture.configuration)
      try answer.process.succeeded()
      #expect(answer.process.errors == "")
      #expect(try fixture.rules() == fixture.baseline)
    }
    try fixture.expectThatTheOtherPodIsWell()
    #expect(try fixture.node.leases().count == 2)
  }

  /// The reference frees the lease of a pod without namespace and leaves all else: a second DEL, ours, finds it.
  @Test(arguments: Tables.allCases)
  func deleteTakesWhatTheReferencesDELLeft(_ tables: Tables) throws {
    let fixture = try Fixture(tables)
    try fixture.add("a")
    let before = try fixture.rules()
    try fixture.node.removePod("a")
    try fixture.reference.call("DEL", nil, id: "a", configuration: fixture.configuration).process.succeeded()
    #expect(try fixture.rules() == before)
    try fixture.ours.call("DEL", nil, id: "a", configuration: fixture.configuration).process.succeeded()
    #expect(try fixture.rules() == fixture.baseline)
  }

  /// Interfaces of one container share a chain where they are in one network.
  @Test(arguments: Tables.allCases)
  func deleteLeavesTheContainersOtherInterface(_ tables: Tables) throws {
    let fixture = try Fixture(tables)
    try fixture.add("a", interface: "eth1")
    let second = try fixture.rules()
    try fixture.add("a")
    for _ in 1...2 {
      try fixture.ours.delete("a", fixture.configuration)
      #expect(try fixture.rules() == second)
    }
    try fixture.ours.call("DEL", "a", interface: "eth1", configuration: fixture.configuration).process.succeeded()
    #expect(try fixture.rules() == fixture.baseline)
  }

  @Test(arguments: Tables.allCases)
  func gcTakesStrayRulesOfItsNetworkOnly(_ tables: Tables) throws {
    let fixture = try Fixture(tables)
    try fixture.add("c", Fixture.configuration(fixture.ours, name: "podnet2", bridge: "cni1"))
    let wanted = try fixture.rules()
    for pod in ["a", "d"] { try fixture.add(pod) }
    // d's lease is gone and its link too: only the rules are left of it.
    try fixture.node.removePod("d")
    try fixture.reference.call("DEL", nil, id: "d", configuration: fixture.configuration).process.succeeded()
    #expect(try eventually { try fixture.node.hostVeths().count == 3 })
    for _ in 1...2 {
      let answer = try fixture.collect(keeping: ["b"])
      try answer.process.succeeded()
      #expect(answer.process.errors == "")
      #expect(try fixture.rules() == wanted)
    }
    try fixture.expectThatTheOtherPodIsWell()
    try fixture.collect(keeping: ["b", "c"], ["name": "podnet2"]).process.succeeded()
    #expect(try fixture.rules() == wanted)
  }

  // MARK: The table of newer plugins

  /// The rules of plugins 1.9 for `id` in a network, as commands for `nft`.
  private func masquerade(_ node: TestNode, _ network: String, _ interface: String, _ id: String, _ host: Int) throws {
    func hash(_ text: String) throws -> String {
      String(try node.sh("printf %s '\(text)' | sha512sum").prefix(16))
    }
    let comment =
      try "\(hash(network))-\(hash("\(interface):\(id)")), net: \(network), if: \(interface), id: \(id)".prefix(128)
    let commands = """
      add table inet cni_plugins_masquerade { comment "Masquerading for plugins from github.com/containernetworking/plugins"; }
      add chain inet cni_plugins_masquerade masq_checks { comment "Masquerade traffic from certain IPs"; }
      add chain inet cni_plugins_masquerade postrouting { type nat hook postrouting priority 100; }
      flush chain inet cni_plugins_masquerade postrouting
      add rule inet cni_plugins_masquerade postrouting ip daddr == 224.0.0.0/4 return
      add rule inet cni_plugins_masquerade postrouting ip6 daddr == ff00::/8 return
      add rule inet cni_plugins_masquerade postrouting goto masq_checks
      add rule inet cni_plugins_masquerade masq_checks ip saddr == 10.9.0.\(host) ip daddr != 10.9.0.0/24 masquerade comment "\(comment)"
      add rule inet cni_plugins_masquerade masq_checks ip6 saddr == fd00:9::\(host) ip6 daddr != fd00:9::/64 masquerade comment "\(comment)"

      """
    try node.run(["nft", "-f", "-"], input: commands).succeeded()
  }

  @Test func rulesInTheReferencesOwnTable() throws {
    let node = try TestNode()
    let ours = Runtime(node: node)
    // Longer than what a comment holds, as the IDs of containers are in a network with a long name.
    let id = String(repeating: "0123456789abcdef", count: 4)
    let network = "a-network-with-a-name-that-is-long"
    try masquerade(node, "podnet", "eth0", "b", 3)
    try masquerade(node, "podnet", "eth1", id, 4)
    try masquerade(node, "podnet", "eth0", "\(id)0", 5)
    try masquerade(node, network, "eth0", id, 6)
    let baseline = try node.rules()
    try masquerade(node, "podnet", "eth0", id, 2)
    #expect(try node.rules().count == baseline.count + 2)
    for _ in 1...2 {
      try ours.call("DEL", nil, id: id, configuration: ours.configuration()).process.succeeded()
      #expect(try node.rules() == baseline)
    }
    try ours.call("DEL", nil, id: id, configuration: ours.configuration(name: network)).process.succeeded()
    #expect(try node.rules().count == baseline.count - 2)

    try masquerade(node, network, "eth0", id, 6)
    let valid: JSONValue = [["containerID": "b", "ifname": "eth0"], ["containerID": .string(id), "ifname": "eth1"]]
    try ours.call("GC", nil, configuration: ours.configuration(["cni.dev/valid-attachments": valid])).process
      .succeeded()
    // Only what was for the container with another ID is gone.
    #expect(try node.rules().filter { $0.contains("10.9.0.5") || $0.contains("fd00:9::5") } == [])
    #expect(try node.rules().count == baseline.count - 2)
    for name in ["podnet", network] {
      try ours.call("GC", nil, configuration: ours.configuration(["cni.dev/valid-attachments": []], name: name)).process
        .succeeded()
    }
    // The chains stay.
    let left = try node.lines("nft list table inet cni_plugins_masquerade | grep -c -e chain -e return -e goto")
    #expect(left == ["5"])
    #expect(try node.run(["nft", "list", "chain", "inet", "cni_plugins_masquerade", "masq_checks"]).status == 0)
    #expect(try node.rules().filter { $0.contains("saddr") } == [])
  }

  // MARK: When something is in the way

  /// Another's rule leads to the pod's chain, so that must stay: DEL and GC do all the rest.
  @Test func whatIsInUseHoldsNothingElseBack() throws {
    let fixture = try Fixture(.nft)
    for pod in ["a", "d"] { try fixture.add(pod) }
    try fixture.node.sh(
      """
      for id in a d; do
        chain=CNI-$(printf "podnet$id" | sha512sum | head -c 24)
        iptables -t nat -N mine-$id
        iptables -t nat -A mine-$id -j $chain
      done
      """)
    func leftovers() throws -> [String] {
      try fixture.rules().filter { !fixture.baseline.contains($0) && !$0.contains("mine-") }
    }
    let deleted = try fixture.ours.call("DEL", "a", configuration: fixture.configuration)
    try deleted.process.succeeded()
    #expect(
      deleted.process.errors.contains("a rule of podnet:a:eth0 stays: remove the chain"))
    // IPv4's chain with two rules, and the one that leads there; the other pod has all of its own.
    #expect(try leftovers().count == 4 + 14)
    #expect(try fixture.node.leases().count == 4)

    let collected = try fixture.collect(keeping: ["b"])
    #expect(collected.process.status == 1 && collected.message.contains("remove the chain"), "\(collected)")
    #expect(try leftovers().count == 4 + 4)
    #expect(try fixture.node.leases().count == 2)
    try fixture.expectThatTheOtherPodIsWell()
  }

  /// Who holds the lock of the older tables for long keeps their rules, not the pod's address.
  @Test func aLockThatIsHeldFailsNoDelete() throws {
    let fixture = try Fixture(.legacy)
    try fixture.add("a")
    let holder = try fixture.node.start([
      "flock", "--no-fork", "/run/xtables.lock", "sh", "-c", "echo held; exec sleep infinity",
    ])
    #expect(eventually { holder.output.contains("held") })
    let deleted = try fixture.ours.call("DEL", "a", configuration: fixture.configuration)
    try deleted.process.succeeded()
    #expect(deleted.process.errors.contains("podnet:a:eth0 stays: "), "\(deleted)")
    #expect(try fixture.node.leases().count == 2)
    holder.stop()
    try fixture.collect(keeping: ["b"]).process.succeeded()
    #expect(try fixture.rules() == fixture.baseline)
  }

  /// `iptables` itself may be the program for the older tables; where there is none, none of its rules are there.
  @Test(arguments: [("/run/legacy", true), ("/run/nft", false), ("/nowhere", false)])
  func theProgramForTheOlderTables(_ path: String, _ isFound: Bool) throws {
    let fixture = try Fixture(.legacy)
    try fixture.add("a")
    let answer = try fixture.ours.call(
      "DEL", "a", configuration: fixture.configuration, environment: ["PATH": path + ":/usr/bin"])
    try answer.process.succeeded()
    #expect(answer.process.errors == "")
    let left = try fixture.rules().filter { !fixture.baseline.contains($0) }
    #expect(left.count == (isFound ? 0 : 8), "\(left)")
  }

  /// A pod that causeway made costs no look into the older tables, though they are in use; nor does an ADD.
  @Test func noProgramIsRunForOurOwnPods() throws {
    let fixture = try Fixture(.legacy)
    try fixture.node.addPod("a")
    try fixture.node.sh(
      """
      mkdir /run/traced
      printf '#!/bin/sh\\nexec strace -f -A -e trace=execve -o /run/trace /opt/cni/bin/bridge\\n' >/run/traced/bridge
      chmod +x /run/traced/bridge
      """)
    var traced = fixture.ours
    traced.plugin = "/run/traced/bridge"
    try traced.add("a", fixture.configuration)
    try traced.delete("a", fixture.configuration)
    #expect(try fixture.node.lines("grep -c execve /run/trace") == ["2"])
    #expect(try fixture.node.lines("nft list ruleset | grep -c 'comment \"podnet:a:eth0\"' || true") == ["0"])
    // The second DEL has no record to go by.
    try traced.delete("a", fixture.configuration)
    #expect(try fixture.node.lines("grep -c execve.*tables-legacy /run/trace") == ["2"])
  }

  @Test(arguments: Tables.allCases)
  func manyPodsAtOnce(_ tables: Tables) throws {
    let fixture = try Fixture(tables)
    for number in 1...8 { try fixture.add("p\(number)") }
    let configuration = try JSONValue.object(fixture.configuration).text()
    let script = """
      for i in $(seq 8); do
        echo '\(configuration)' | CNI_COMMAND=DEL CNI_CONTAINERID=p$i CNI_NETNS=/run/netns/p$i CNI_IFNAME=eth0 \
          CNI_PATH=/opt/cni/bin /opt/cni/bin/bridge >>/run/answers 2>&1 & started+=($!)
      done
      status=0
      for process in "${started[@]}"; do wait $process || status=1; done
      cat /run/answers; exit $status
      """
    let result = try fixture.node.run(["/bin/bash", "-c", script]).succeeded()
    #expect(result.output == "")
    #expect(try fixture.rules() == fixture.baseline)
  }

  /// What is wrong with one of our own tables keeps nothing of the other.
  @Test func aTableThatIsNotOursInOurTablesPlace() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try runtime.add("a", runtime.configuration(["ipMasq": true]))
    try node.sh("nft add table bridge causeway && nft add set bridge causeway ports '{ type ipv4_addr; }'")
    let deleted = try runtime.call("DEL", "a", configuration: runtime.configuration(["ipMasq": true]))
    try deleted.process.succeeded()
    #expect(deleted.process.errors.contains("a rule of podnet:a:eth0 stays: "), "\(deleted)")
    #expect(try node.lines("nft list table inet causeway_pods | grep -c comment || true") == ["0"])
  }
}

extension TestNode {
  /// Every rule and chain in the tables where the reference plugins make theirs, without counters, in any order.
  fileprivate func rules() throws -> [String] {
    try lines(
      """
      for program in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
        $program-save -t nat | grep -v '^#' | sed "s/ \\[.*\\]//; s/^/$program /"
      done
      for table in 'bridge nat' 'inet cni_plugins_masquerade'; do
        nft list table $table 2>/dev/null | sed "s/^[[:space:]]*/$table /" || true
      done
      """
    ).filter { !$0.hasSuffix(" ") && !$0.hasSuffix("}") }.sorted()
  }
}
