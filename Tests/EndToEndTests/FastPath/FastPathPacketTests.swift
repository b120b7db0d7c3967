import JSON
import Testing
import TestSupport

/// Packets that cannot be carried use the ordinary path, and get the same answers as without the fast path.
@Suite(.requiresRoot, .timeLimit(.minutes(5))) struct FastPathPacketTests {
  @Test(arguments: [("bridge", "conntrack"), ("bridge", "sight"), ("routed", "conntrack"), ("routed", "sight")])
  func answersAreTheSameWithoutTheFastPath(_ mode: String, _ flows: String) throws {
    var stage = try FastPathStage(mode, flows)
    let before = try answers(stage, hasFastPath: true)
    for index in 0..<2 { try stage.setFastPath(index, "off") }
    #expect(try before == answers(stage, hasFastPath: false))
  }

  /// Sends packets of every kind, and returns all output in order.
  private func answers(_ stage: FastPathStage, hasFastPath: Bool) throws -> [String] {
    let client = stage.client(0)
    var answers: [String] = []
    func ask(_ reason: String, at indexes: [Int], _ arguments: [String], atLeast count: Int64 = 1) throws {
      let counted = try stage.counted(reason) { answers.append(try client.run(arguments).output) }
      guard hasFastPath else { return }
      #expect(indexes.allSatisfy { counted[$0] >= count }, "\(arguments): \(reason) \(counted)")
    }
    for host in stage.servers[1] {
      try ask("hop-limit", at: [0], ["probe", host, "--hops", "1"])
      try ask("hop-limit", at: [3], ["probe", host, "--hops", "2"])
      #expect(
        answers.suffix(2).allSatisfy { $0.contains(host.contains(":") ? "type 3 code 0" : "type 11 code 0") },
        "\(answers)")
      try ask("carried", at: [0, 1, 2, 3], ["probe", host, "--hops", "3"], atLeast: 15)
      // Packets of the MTU's size, then fragments.
      let size = host.contains(":") ? 1452 : 1472
      try ask("carried", at: [0, 3], ["udp", host, "--size", "\(size - 16)", "--count", "30"], atLeast: 25)
      try ask("carried", at: [1, 2], ["udp", host, "--size", "\(size - 16)", "--count", "30"], atLeast: 25)
      try ask("options", at: [0, 1, 2, 3], ["udp", host, "--size", "8000", "--count", "30"], atLeast: 30)
      // Only the client's packets have options.
      try ask("options", at: [0, 3], ["udp", host, "--options", "--count", "30"], atLeast: 30)
    }
    // Each hop records the route in the packet, in both directions.
    let routes = try client.run(command: ["ping", "-nRc", "3", stage.servers[1][0]]).output.split(separator: "\n")
    answers += routes.filter { $0.hasPrefix("\t") || $0.contains("RR:") }.map { String($0) }
    if stage.more["mode"] == "bridge" {
      answers.append(try client.run(["udp", "10.244.1.255", "--count", "5"]).output)
    }
    let group = try client.run(command: ["ping", "-nc", "2", "ff02::1%eth0"]).output
    answers.append("\(group.contains(" 0% packet loss"))")
    return answers
  }

  @Test(arguments: ["conntrack", "sight"])
  func offloadsAreKept(_ flows: String) throws {
    let stage = try FastPathStage("bridge", flows)
    for host in stage.servers[1] {
      let bytes = try stage.cluster.bytes(0, "from-pod")
      let carried = try stage.carried {
        let tcp = try stage.client(0).run("tcp", host, "--bytes", "20000000")
        #expect(tcp.status == 0, "\(tcp)")
      }
      let carriedBytes = try stage.cluster.bytes(0, "from-pod") - bytes
      #expect(carriedBytes > 15_000_000 && carriedBytes > 3000 * carried[0], "\(carriedBytes) in \(carried)")
    }
  }

  /// Some drivers leave only the Ethernet header in a packet's linear part. A packet socket's ring does so too.
  @Test(arguments: ["conntrack", "sight"])
  func headersInPagesAreFound(_ flows: String) throws {
    let stage = try FastPathStage("bridge", flows)
    for (client, host) in zip(stage.clients[0], stage.servers[1]) {
      let carried = try carriedFrames(stage, from: client, to: host, text: "paged")
      #expect(carried[0] >= 35 && carried[3] >= 35, "\(carried)")
      let isNoted = eventually { stage.notes(1).contains("noted paged 39 from \(client)\n") }
      #expect(isNoted, "\(stage.notes(1))")
    }
  }

  /// The maps store IPv4 addresses as IPv4-mapped ones. An IPv6 packet with such addresses is not part of an IPv4 flow.
  @Test(arguments: ["conntrack", "sight"])
  func packetsWithMappedAddressesAreNotCarried(_ flows: String) throws {
    let stage = try FastPathStage("bridge", flows)
    let (client, host) = (stage.clients[0][0], stage.servers[1][0])
    let plain = try carriedFrames(stage, from: client, to: host, text: "plain")
    #expect(plain[0] >= 35, "\(plain)")
    let mapped = try carriedFrames(stage, from: client, to: host, text: "mapped", more: ["--mapped"])
    #expect(mapped[0] == 0, "\(mapped)")
  }

  /// How many of 40 frames are carried, of a flow that ten datagrams have made known.
  private func carriedFrames(
    _ stage: FastPathStage, from client: String, to host: String, text: String, more: [String] = []
  ) throws -> [Int64] {
    let node = stage.cluster.nodes[0]
    let gateway = try #require(try node.ip(json: "link", "show", "cni0").first?["address"]?.string)
    try stage.client(0).run("udp", host, "--port-here", "4000", "--count", "10").succeeded()
    return try stage.carried {
      try stage.client(0).run(
        ["frames", host, "--address-here", client, "--port-here", "4000", "--count", "40", "--text", text]
          + ["--gateway", gateway] + more
      ).succeeded()
    }
  }

  // MARK: Path MTU

  /// The hop whose next link has a smaller MTU reports it: first the first node, then the second.
  @Test(arguments: [("bridge", "conntrack"), ("bridge", "sight"), ("routed", "conntrack"), ("routed", "sight")])
  func smallerMTUsAreReported(_ mode: String, _ flows: String) throws {
    let stage = try FastPathStage(mode, flows)
    let nodes = stage.cluster.nodes
    let transfers = try stage.servers[1].map { try stage.client(0).startTransfer(to: $0) }
    for transfer in transfers { try transfer.waitForMore(than: 1_000_000) }
    for node in nodes { try node.sh("ip link set eth0 mtu 1400") }
    // Sent by a pod that does not know the MTU yet, in a carried flow: echo requests with one identifier.
    func expectRefusal(by hops: [String], mtu: Int, at index: Int) throws {
      for (family, host) in stage.servers[1].enumerated() {
        func ping(_ arguments: String...) throws -> String {
          try nodes[0].run(inPod: "server", ["ping", "-n", "-e", "77", "-W", "2"] + arguments + [host]).output
        }
        let known = try stage.carried { _ = try ping("-c", "10", "-i", "0.05") }
        #expect(known[0] > 5, "\(known)")
        var answer = ""
        let passedOn = try stage.counted("size") { answer = try ping("-c", "1", "-M", "do", "-s", "\(mtu + 1 - 28)") }
        // In routed mode the node answers from any of its addresses.
        let hop = mode == "bridge" ? "From \(hops[family]) " : "From "
        #expect(answer.contains(hop) && answer.contains("mtu") && answer.contains("\(mtu)"), "\(answer)")
        #expect(passedOn[index] > 0, "\(passedOn)")
      }
      for transfer in transfers {
        try transfer.waitForMore(than: 3_000_000)
      }
    }
    try expectRefusal(by: ["10.244.1.1", "fd00:10:244:1::1"], mtu: 1400, at: 0)
    let vethIndex = try #require(
      try nodes[1].ip(json: "link", "show", "dev", "eth0", inPod: "server").first?["link_index"]?.number)
    let link = try #require(
      try nodes[1].ip(json: "link", "show", "type", "veth").first { $0["ifindex"]?.number == vethIndex }?["ifname"]?
        .string)
    try nodes[1].sh("ip link set \(link) mtu 1300; ip -n server link set eth0 mtu 1300")
    try expectRefusal(by: ["192.0.2.12", "2001:db8::12"], mtu: 1300, at: 3)
    for transfer in transfers { try transfer.endTransfer() }
  }

  // MARK: Foreign source addresses

  /// A pod sends from another pod's address and port, in the middle of that pod's flow.
  @Test(arguments: ["conntrack", "sight"])
  func anotherPodsAddressIsNotCarried(_ flows: String) throws {
    var stage = try FastPathStage("bridge", flows)
    _ = try stage.cluster.addPod(0, "spoofer")
    let spoofer = Traffic(node: stage.cluster.nodes[0], pod: "spoofer")
    for (address, length) in zip(stage.clients[0], [32, 128]) {
      try stage.cluster.nodes[0].sh("ip -n spoofer address add \(address)/\(length) dev eth0 nodad")
    }
    for family in 0..<2 {
      let (host, client) = (stage.servers[1][family], stage.clients[0][family])
      try stage.client(0).run("udp", host, "--port-here", "4000").succeeded()
      func spoof(_ text: String) throws {
        try spoofer.run(
          "note", host, "--address-here", client, "--port-here", "4000", "--count", "20", "--text", text
        ).succeeded()
        let isNoted = eventually { stage.notes(1).contains("noted \(text) 19 from \(client)\n") }
        #expect(isNoted, "\(stage.notes(1))")
      }
      // The helper waits until the pod's plugin chain has ended.
      let isIn = try eventually(within: .seconds(30)) {
        try stage.carried { _ = try spoofer.run("udp", stage.servers[1][0], "--count", "20") }[0] > 0
      }
      #expect(isIn)
      var carried: [Int64] = []
      let unknown = try stage.counted("no-pod") { carried = try stage.carried { try spoof("with") } }
      #expect(unknown[0] >= 20 && carried[0] == 0, "\(unknown) \(carried)")
      // The packets arrive without the fast path, too.
      try stage.setFastPath(0, "off")
      try spoof("without")
      try stage.setFastPath(0, "on")
    }
  }

  /// A pod whose MAC address another plugin has changed is reached by the ordinary path. With `macspoofchk` it can send
  /// only from the MAC address that causeway gave it.
  @Test(arguments: ["conntrack", "sight"])
  func anotherMACIsNotCarried(_ flows: String) throws {
    let stage = try FastPathStage("bridge", flows)
    try stage.cluster.nodes[0].sh("ip -n client link set eth0 address 02:00:00:00:00:99")
    for host in stage.servers[1] {
      let isReached = try eventually(within: .seconds(20)) { try stage.cluster.nodes[0].ping(from: "client", host) }
      #expect(isReached, "\(host)")
      var carried: [Int64] = []
      let refused = try stage.counted("protocol") {
        carried = try stage.carried { try stage.talk(0, host, to: "server-1") }
      }
      #expect(refused[0] > 200 && carried[0] == 0, "\(refused) \(carried)")
    }
    _ = try stage.cluster.addPod(0, "checked", keys: ["macspoofchk": true])
    let checked = Traffic(node: stage.cluster.nodes[0], pod: "checked")
    try checked.run("udp", stage.servers[1][0], "--port-here", "4000").succeeded()
    try stage.cluster.nodes[0].sh("ip -n checked link set eth0 address 02:00:00:00:00:98")
    let silent = try checked.run("udp", stage.servers[1][0], "--port-here", "4000", "--count", "3", "--tries", "2")
    #expect(silent.output == "unanswered 3\n", "\(silent)")
  }
}

extension JSONValue {
  fileprivate var number: Int64? { if case .integer(let number) = self { number } else { nil } }
}
