import Addresses
import JSON
import Testing
import TestSupport

/// Packets that firewalls drop are not carried, nor are packets to pods that were deleted.
@Suite(.requiresRoot, .timeLimit(.minutes(5))) struct FastPathPolicyTests {
  /// One of the nodes drops one direction between two pods.
  @Test(arguments: ["conntrack", "sight"])
  func newFlowsAreDropped(_ flows: String) throws {
    let stage = try FastPathStage("bridge", flows)
    for family in 0..<2 {
      let (client, host) = (stage.clients[0][family], stage.servers[1][family])
      for (from, to) in [(client, host), (host, client)] {
        for node in stage.cluster.nodes {
          try FastPathPolicyTests.setRule(true, node, from: from, to: to)
          let udp = try stage.client(0).run("udp", host, "--count", "1", "--tries", "4")
          #expect(udp.output == "unanswered 1\n", "\(from) to \(to): \(udp)")
          let tcp = try stage.client(0).run(command: [
            "timeout", "0.5", "bash", "-c", "exec 3<>/dev/tcp/\(host)/80 && echo connected",
          ])
          #expect(tcp.output == "", "\(from) to \(to): \(tcp)")
          let ping = try stage.client(0).run(command: ["ping", "-nc", "5", "-i", "0.1", "-W", "0.5", host])
          #expect(ping.output.contains(" 0 received"), "\(ping)")
          try FastPathPolicyTests.setRule(false, node, from: from, to: to)
        }
      }
      // Afterwards the pods reach each other.
      try stage.talk(0, host, to: "server-1")
    }
  }

  /// Conntrack has an entry of a flow before the bridge's own rules have seen the flow.
  @Test(arguments: ["conntrack", "sight"])
  func packetsThatTheBridgeDropsAreNotCarried(_ flows: String) throws {
    let stage = try FastPathStage("bridge", flows)
    let (client, host) = (stage.clients[0][0], stage.servers[1][0])
    try stage.cluster.nodes[1].sh(
      """
      nft -f - <<E
      table bridge firewall {
        chain output {
          type filter hook output priority 0; policy accept;
          ip saddr \(client) ip daddr \(host) drop
        }
      }
      E
      """)
    let carried = try stage.carried {
      try stage.client(0).run("note", host, "--count", "20", "--text", "dropped").succeeded()
    }
    #expect(carried[3] == 0, "\(carried)")
    try stage.talk(0, stage.servers[1][1], to: "server-1")
    #expect(!stage.notes(1).contains("dropped"), "\(stage.notes(1))")
  }

  /// One pod's echo requests and the other pod's requests are two flows, even if both have the same identifier.
  @Test(arguments: ["conntrack", "sight"])
  func echoRequestsOfThePeerAreAnotherFlow(_ flows: String) throws {
    let stage = try FastPathStage("bridge", flows)
    for family in 0..<2 {
      let (client, host) = (stage.clients[0][family], stage.servers[1][family])
      let rule =
        family == 0
        ? "iptables -I FORWARD -p icmp --icmp-type echo-request"
        : "ip6tables -I FORWARD -p icmpv6 --icmpv6-type echo-request"
      try stage.cluster.nodes[0].sh("\(rule) -s \(host) -d \(client) -j DROP")
      func ping(_ index: Int, _ pod: String, to host: String) throws -> String {
        try stage.cluster.nodes[index].run(
          inPod: pod, ["ping", "-nc", "5", "-i", "0.2", "-W", "0.5", "-e", "77", host]
        ).output
      }
      #expect(try ping(1, "server", to: client).contains(" 0 received"))
      let carried = try stage.carried {
        let ping = try ping(0, "client", to: host)
        #expect(ping.contains("5 received"), "\(ping)")
      }
      #expect(carried[0] > 0, "\(carried)")
      let there = try ping(1, "server", to: client)
      #expect(there.contains(" 0 received"), "\(there)")
    }
  }

  /// A new rule takes effect on an established flow with the next packet that uses the ordinary path, or at once if the
  /// fast path is switched off.
  @Test(arguments: ["conntrack", "sight"], [false, true])
  func establishedFlowsBypassANewRuleForAWhile(_ flows: String, isSwitchedOff: Bool) throws {
    var stage = try FastPathStage("bridge", flows)
    let (client, host) = (stage.clients[0][0], stage.servers[1][0])
    let flood = try stage.client(0).start("flood", host)
    try flood.waitForMore()
    let tcp = try stage.client(0).startTransfer(to: host)
    try tcp.waitForMore()
    let node = stage.cluster.nodes[1]
    // If a flow's packet uses the ordinary path just then, the rule takes effect too early: it is removed and made
    // again.
    let isBypassed = try (0..<5).contains { _ in
      try FastPathPolicyTests.setRule(true, node, from: client, to: host)
      let before = (flood.soFar, tcp.soFar)
      try node.sh("sleep 1.5")
      // More than was in transit.
      if flood.soFar >= before.0 + 300 && tcp.soFar >= before.1 + 2_000_000 { return true }
      try FastPathPolicyTests.setRule(false, node, from: client, to: host)
      try flood.waitForMore(than: 100)
      try tcp.waitForMore(than: 1_000_000)
      return false
    }
    try #require(isBypassed, "\(flood.output)\(tcp.output)")
    if isSwitchedOff { try stage.setFastPath(1, "off") }
    func dropped() throws -> Int {
      let rule = try node.sh("iptables -nvxL FORWARD 1").split(separator: " ").first
      return try #require(rule.flatMap { Int($0) })
    }
    /// Expects that from now on only packets arrive that were in transit.
    func expectSilence() throws {
      let before = (try dropped(), flood.soFar, tcp.soFar)
      let isDropped = try eventually(within: .seconds(60)) { try dropped() > before.0 + 200 }
      #expect(isDropped)
      #expect(flood.soFar <= before.1 + 100)
      #expect(tcp.soFar <= before.2 + 2_000_000)
    }
    if !isSwitchedOff {
      // The rule takes effect on each flow at its own time.
      let isHeard = try eventually(within: .seconds(90)) {
        let before = tcp.soFar
        try node.sh("sleep 3")
        return try dropped() > 500 && tcp.soFar == before
      }
      #expect(isHeard)
    }
    try expectSilence()
    // The flows are not carried again when the fast path is switched on.
    if isSwitchedOff {
      try stage.setFastPath(1, "on")
      let haveEntries = try eventually { try stage.cluster.status(1)["fastPath"]?.object?["addresses"] == 4 }
      #expect(haveEntries)
      try expectSilence()
    }
    flood.stop()
    // The transfer continues without the rule, with all bytes.
    try FastPathPolicyTests.setRule(false, node, from: client, to: host)
    try tcp.waitForMore(than: 1_000_000)
    try tcp.endTransfer()
  }

  private static func setRule(_ isThere: Bool, _ node: TestNode, from: String, to: String) throws {
    let iptables = from.contains(":") ? "ip6tables" : "iptables"
    try node.sh("\(iptables) -\(isThere ? "I" : "D") FORWARD -s \(from) -d \(to) -j DROP")
  }

  /// After a pod was deleted, the next pod with its address gets the packets for it, and no other pod does.
  @Test(arguments: [("bridge", "conntrack"), ("bridge", "sight"), ("routed", "conntrack"), ("routed", "sight")])
  func aPodIsDeletedUnderTraffic(_ mode: String, _ flows: String) throws {
    let stage = try FastPathStage(mode, flows)
    let (node, addresses) = (stage.cluster.nodes[1], stage.servers[1])
    let floods = try addresses.map { try stage.client(0).start("flood", $0) }
    let transfers = try addresses.map { try stage.client(0).startTransfer(to: $0) }
    for program in floods + transfers { try program.waitForMore() }
    let bystander = try Traffic(node: node, pod: "client").serve(name: "bystander")
    let received = try FastPathPolicyTests.received(node, "client")

    var network: JSONObject = ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway", "mode": .string(mode)]
    try Runtime(node: node).delete("server", network)
    #expect(
      try FastPathPolicyTests.pods(node) == Set(stage.clients[1].compactMap { IPAddress($0) }),
      "\(stage.cluster.agents[1].output)")
    // For a while no pod has the address.
    let before = try stage.cluster.packets(0, "from-pod")
    let goesOn = try eventually { try stage.cluster.packets(0, "from-pod") > before + 300 }
    #expect(goesOn)
    #expect(try FastPathPolicyTests.received(node, "client") - received < 50)

    try node.addPod("successor")
    network["runtimeConfig"] = ["ips": .array(addresses.map { .string($0) })]
    network["capabilities"] = ["ips": true]
    #expect(try Runtime(node: node).add("successor", network).hosts == addresses)
    let successor = try Traffic(node: node, pod: "successor").serve(name: "successor")
    defer { successor.stop() }
    for flood in floods { try flood.waitForMore(than: 300) }
    // The next pod does not know these connections.
    for transfer in transfers {
      #expect(try transfer.exitStatus(within: .seconds(120)) == 1, "\(transfer.output)")
      #expect(transfer.output.contains("reset"), "\(transfer.output)")
    }
    for address in addresses { try stage.talk(0, address, to: "successor") }
    #expect(try FastPathPolicyTests.received(node, "client") - received < 100)
    #expect(!bystander.output.contains("noted"))
  }

  /// How many packets a pod has accepted. A bridge sends packets for an unknown MAC address to all of its ports.
  private static func received(_ node: TestNode, _ pod: String) throws -> Int {
    let text = try node.run(
      inPod: pod,
      [
        "awk", "/^Ip: [0-9]/ { n += $4 } /^Ip6InReceives/ { n += $2 } END { print n }", "/proc/net/snmp",
        "/proc/net/snmp6",
      ])
    return try #require(Int(text.output.dropLast()), "\(text)")
  }

  /// The addresses in the map `pods`.
  private static func pods(_ node: TestNode) throws -> Set<IPAddress> {
    let dump = try node.sh("bpftool -j map dump pinned /sys/fs/bpf/causeway/pods")
    let entries = try #require(try JSONValue(parsing: Array(dump.utf8)).array)
    return Set(
      entries.compactMap { entry in
        let key = entry.object?["key"]?.array?.compactMap { UInt8($0.string?.dropFirst(2) ?? "", radix: 16) } ?? []
        // IPv4 addresses are stored as IPv4-mapped ones.
        return IPAddress(bytes: key.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]) ? Array(key[12...]) : key)
      })
  }
}
