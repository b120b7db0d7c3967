import JSON
import Testing
import TestSupport

/// TCP with packet loss and changing paths, on nodes that drop packets that conntrack calls invalid: every byte
/// arrives, and conntrack sees the connection's end.
@Suite(.requiresRoot, .timeLimit(.minutes(5))) struct FastPathTransferTests {
  private func stage(_ mode: String, _ flows: String, without: Set<Int> = []) throws -> FastPathStage {
    let stage = try FastPathStage(mode, flows, without: without)
    for node in stage.cluster.nodes { try ServiceRules.write([], to: node) }
    return stage
  }

  @Test(arguments: ["conntrack", "sight"], [0, 1])
  func lossIsRepaired(_ flows: String, _ family: Int) throws {
    let stage = try stage(family == 0 ? "bridge" : "routed", flows)
    // Many small packets, so that a lost one costs little.
    for node in stage.cluster.nodes {
      for pod in ["client", "server"] { try node.sh("ip -n \(pod) link set eth0 gso_max_segs 1") }
    }
    let loss = try stage.cluster.cluster.segment.drop(percent: 3)
    let carried = try stage.carried {
      let tcp = try stage.client(0).run("tcp", stage.servers[1][family], "--bytes", "12000000")
      #expect(tcp.output.contains("complete 12000000"), "\(tcp)")
      #expect(try isOver(stage, port: port(of: tcp.output), family: family), "FIN")
    }
    #expect(try loss.packets() > 50)
    #expect(carried.allSatisfy { $0 > 1000 }, "\(carried)")
  }

  @Test(arguments: ["conntrack", "sight"])
  func resetsArrive(_ flows: String) throws {
    let stage = try stage("bridge", flows)
    for family in 0..<2 {
      let tcp = try stage.client(0).run("tcp", stage.servers[1][family], "--bytes", "5000000", "--reset")
      #expect(tcp.output.contains("complete 5000000"), "\(tcp)")
      // The server learns of the reset from no other packet.
      let isHeard = eventually { stage.notes(1).split(separator: "\n").filter { $0.contains("reset") }.count > family }
      #expect(isHeard, "\(stage.notes(1))")
      #expect(try isOver(stage, port: port(of: tcp.output), family: family), "RST")
    }
  }

  /// A running transfer changes from the fast path to the ordinary path and back, at one node and at both.
  @Test(arguments: [
    ("bridge", "conntrack", 0), ("bridge", "sight", 1), ("routed", "conntrack", 1), ("routed", "sight", 0),
  ])
  func aTransferContinuesWhileTheFastPathIsSwitched(_ mode: String, _ flows: String, _ family: Int) throws {
    var stage = try stage(mode, flows)
    let tcp = try stage.client(0).startTransfer(to: stage.servers[1][family])
    func expectProgress(_ carrying: Set<Int>) throws {
      for index in carrying {
        for direction in ["from-pod", "to-pod"] {
          let before = try stage.cluster.packets(index, direction)
          let isCarried = try eventually(within: .seconds(30)) {
            try stage.cluster.packets(index, direction) > before + 50
          }
          #expect(isCarried, "\(direction) of \(index)")
        }
      }
      try tcp.waitForMore(than: 3_000_000)
    }
    try tcp.waitForMore()
    try expectProgress([0, 1])
    try stage.setFastPath(0, "off")
    try expectProgress([1])
    try stage.setFastPath(1, "off")
    try expectProgress([])
    try stage.setFastPath(0, "on")
    try expectProgress([0])
    try stage.setFastPath(1, "on")
    try expectProgress([0, 1])
    try tcp.endTransfer()
    #expect(try isOver(stage, port: port(of: tcp.output), family: family))
  }

  /// Conntrack's entry expires after less than two pauses, and without an entry packets in mid-stream are invalid. The
  /// fast path must renew the entry even if packets are rare.
  @Test(arguments: ["conntrack", "sight"])
  func rarePacketsRenewTheConntrackEntry(_ flows: String) throws {
    let stage = try stage("bridge", flows)
    for node in stage.cluster.nodes {
      try node.sh(
        """
        cd /proc/sys/net/netfilter
        echo 0 >nf_conntrack_tcp_loose
        echo 31 >nf_conntrack_tcp_timeout_established
        """)
    }
    let talk = try stage.client(0).run("seldom", stage.servers[1][0], "--count", "4", "--pause", "16")
    #expect(talk.output == "complete 4\n", "\(talk)")
  }

  /// Only one of the nodes has the fast path; connections begin at either node.
  @Test(arguments: ["conntrack", "sight"], [0, 1])
  func theOtherNodeMayHaveNoFastPath(_ flows: String, _ without: Int) throws {
    let stage = try stage("bridge", flows, without: [without])
    let carried = try stage.carried {
      for index in 0..<2 {
        for host in stage.servers[1 - index] { try stage.talk(index, host, to: "server-\(1 - index)") }
      }
    }
    let other = 1 - without
    #expect(carried[2 * other] > 500 && carried[2 * other + 1] > 500, "\(carried)")
  }

  private func port(of output: String) throws -> Int {
    let line = output.split(separator: "\n").first { $0.hasPrefix("from ") }
    return try #require(line.flatMap { Int($0.dropFirst(5)) }, "\(output)")
  }

  /// Whether no node's conntrack has the connection as established. After a reset the entry stays for ten seconds if
  /// conntrack does not know the last sequence number.
  private func isOver(_ stage: FastPathStage, port: Int, family: Int) throws -> Bool {
    try eventually(within: .seconds(30)) {
      try stage.cluster.nodes.allSatisfy { node in
        try !node.sh("conntrack -f ipv\([4, 6][family]) -L -p tcp --sport \(port) 2>/dev/null").contains(
          " ESTABLISHED ")
      }
    }
  }
}
