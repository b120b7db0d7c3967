import JSON
import Testing
import TestSupport

/// A node that is switched from the reference plugins to causeway while their pods run. Rules of the reference plugins
/// are removed with their pods, and nothing else is.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct ReferenceRulesTests {
  /// The kernel interface behind `iptables`, with which the reference plugin masquerades.
  enum Tables: String, CaseIterable {
    case nft
    case legacy
  }

  /// A node with a pod `b` of the reference plugin that stays, foreign rules, and a host outside.
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

    /// ADD by the reference plugin; creates the pod's namespace if there is none.
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

    /// Checks that pod `b` still is masqueraded, and that packets from another MAC are still dropped.
    func expectTheOtherPodWorks() throws {
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
    case unset
    case gone
  }

  @Test(arguments: Tables.allCases, Namespace.allCases)
  func deleteRemovesThePodsRules(_ tables: Tables, _ namespace: Namespace) throws {
    let fixture = try Fixture(tables)
    try fixture.add("a")
    let added = try fixture.rules().filter { !fixture.baseline.contains($0) }
    // For each family a chain with two rules and a jump to it; for the MAC four rules in two chains.
    #expect(added.count == 2 * 4 + 4 + 2, "\(added)")
    if namespace == .gone { try fixture.node.removePod("a") }
    for _ in 1...2 {
      let pod = namespace == .there ? "a" : nil
      let answer = try fixture.ours.call("DEL", pod, id: "a", configuration: fixture.configuration)
      try answer.process.succeeded()
      #expect(answer.process.errors == "")
      #expect(try fixture.rules() == fixture.baseline)
    }
    try fixture.expectTheOtherPodWorks()
    #expect(try fixture.node.leases().count == 2)
  }

  /// Runs the reference's DEL without a namespace, which frees the lease and leaves the rules. A DEL of causeway
  /// removes them.
  @Test(arguments: Tables.allCases)
  func deleteRemovesWhatTheReferencesDELLeft(_ tables: Tables) throws {
    let fixture = try Fixture(tables)
    try fixture.add("a")
    let before = try fixture.rules()
    try fixture.node.removePod("a")
    try fixture.reference.call("DEL", nil, id: "a", configuration: fixture.configuration).process.succeeded()
    #expect(try fixture.rules() == before)
    try fixture.ours.call("DEL", nil, id: "a", configuration: fixture.configuration).process.succeeded()
    #expect(try fixture.rules() == fixture.baseline)
  }

  /// Checks a container with two interfaces in one network, which share a chain.
  @Test(arguments: Tables.allCases)
  func deleteKeepsTheContainersOtherInterface(_ tables: Tables) throws {
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
  func gcRemovesStrayRulesOfItsNetworkOnly(_ tables: Tables) throws {
    let fixture = try Fixture(tables)
    try fixture.add("c", Fixture.configuration(fixture.ours, name: "podnet2", bridge: "cni1"))
    let wanted = try fixture.rules()
    for pod in ["a", "d"] { try fixture.add(pod) }
    // Pod d has lost its lease and its link; only the rules remain.
    try fixture.node.removePod("d")
    try fixture.reference.call("DEL", nil, id: "d", configuration: fixture.configuration).process.succeeded()
    #expect(try eventually { try fixture.node.hostVeths().count == 3 })
    for _ in 1...2 {
      let answer = try fixture.collect(keeping: ["b"])
      try answer.process.succeeded()
      #expect(answer.process.errors == "")
      #expect(try fixture.rules() == wanted)
    }
    try fixture.expectTheOtherPodWorks()
    try fixture.collect(keeping: ["b", "c"], ["name": "podnet2"]).process.succeeded()
    #expect(try fixture.rules() == wanted)
  }

  // MARK: The table of newer plugins

  /// Writes the rules that plugins 1.9 create for a pod in a network.
  private func masquerade(_ node: TestNode, _ network: String, interface: String, id: String, host: Int) throws {
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

  @Test func rulesInTheReferencesOwnTableAreRemoved() throws {
    let node = try TestNode()
    let ours = Runtime(node: node)
    // The comment is cut, as with long container IDs in a network with a long name.
    let id = String(repeating: "0123456789abcdef", count: 4)
    let network = "a-network-with-a-name-that-is-long"
    try masquerade(node, "podnet", interface: "eth0", id: "b", host: 3)
    try masquerade(node, "podnet", interface: "eth1", id: id, host: 4)
    try masquerade(node, "podnet", interface: "eth0", id: "\(id)0", host: 5)
    try masquerade(node, network, interface: "eth0", id: id, host: 6)
    let baseline = try node.rules()
    try masquerade(node, "podnet", interface: "eth0", id: id, host: 2)
    #expect(try node.rules().count == baseline.count + 2)
    for _ in 1...2 {
      try ours.call("DEL", nil, id: id, configuration: ours.configuration()).process.succeeded()
      #expect(try node.rules() == baseline)
    }
    try ours.call("DEL", nil, id: id, configuration: ours.configuration(name: network)).process.succeeded()
    #expect(try node.rules().count == baseline.count - 2)

    try masquerade(node, network, interface: "eth0", id: id, host: 6)
    let valid: JSONValue = [["containerID": "b", "ifname": "eth0"], ["containerID": .string(id), "ifname": "eth1"]]
    try ours.call("GC", nil, configuration: ours.configuration(["cni.dev/valid-attachments": valid])).process
      .succeeded()
    // Only the rules of the container with the other ID are removed.
    #expect(try node.rules().filter { $0.contains("10.9.0.5") || $0.contains("fd00:9::5") } == [])
    #expect(try node.rules().count == baseline.count - 2)
    for name in ["podnet", network] {
      try ours.call("GC", nil, configuration: ours.configuration(["cni.dev/valid-attachments": []], name: name)).process
        .succeeded()
    }
    // The chains remain.
    let left = try node.lines("nft list table inet cni_plugins_masquerade | grep -c -e chain -e return -e goto")
    #expect(left == ["5"])
    #expect(try node.run(["nft", "list", "chain", "inet", "cni_plugins_masquerade", "masq_checks"]).status == 0)
    #expect(try node.rules().filter { $0.contains("saddr") } == [])
  }

  // MARK: Rules that cannot be removed

  /// Adds foreign jumps to the pods' chains, which must then stay. DEL and GC do everything else.
  @Test func chainsInUseDelayNothingElse() throws {
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
    // The IPv4 chain with two rules and the jump to it, and all rules of the other pod.
    #expect(try leftovers().count == 4 + 14)
    #expect(try fixture.node.leases().count == 4)

    let collected = try fixture.collect(keeping: ["b"])
    #expect(collected.process.status == 1 && collected.message.contains("remove the chain"), "\(collected)")
    #expect(try leftovers().count == 4 + 4)
    #expect(try fixture.node.leases().count == 2)
    try fixture.expectTheOtherPodWorks()
  }

  /// Holds the lock of the legacy tables. DEL leaves the rules there and frees the address.
  @Test func aHeldXtablesLockFailsNoDelete() throws {
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

  /// Checks which `iptables` program is used for the legacy tables. Without one there can be no such rules.
  @Test(arguments: [("/run/legacy", true), ("/run/nft", false), ("/nowhere", false)])
  func theProgramForTheLegacyTablesIsFound(_ path: String, _ isFound: Bool) throws {
    let fixture = try Fixture(.legacy)
    try fixture.add("a")
    let answer = try fixture.ours.call(
      "DEL", "a", configuration: fixture.configuration, environment: ["PATH": path + ":/usr/bin"])
    try answer.process.succeeded()
    #expect(answer.process.errors == "")
    let left = try fixture.rules().filter { !fixture.baseline.contains($0) }
    #expect(left.count == (isFound ? 0 : 8), "\(left)")
  }

  /// Checks that ADD and DEL of causeway's own pods run no program, though the legacy tables are in use.
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
    // The second DEL has no record, so it searches the legacy tables.
    try traced.delete("a", fixture.configuration)
    #expect(try fixture.node.lines("grep -c execve.*tables-legacy /run/trace") == ["2"])
  }

  @Test(arguments: Tables.allCases)
  func manyPodsAreDeletedAtOnce(_ tables: Tables) throws {
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

  /// Puts a foreign set into one of causeway's tables. Rules in the other table are removed anyway.
  @Test func aForeignSetInOneOfOurTablesKeepsNoRuleOfTheOther() throws {
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
  /// All rules and chains in the tables of the reference plugins, without counters, sorted.
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
