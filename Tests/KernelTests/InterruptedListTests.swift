import Netlink
import Testing
import TestSupport

/// A list that changes while the kernel writes it (NLM_F_DUMP_INTR) is neither used nor an error: it is read again.
@Suite(.requiresRoot, .timeLimit(.minutes(1))) struct InterruptedListTests {
  @Test func everyListHasTheLinksThatAreKept() throws {
    let node = try TestNode()
    // More links than the kernel writes into one datagram.
    try node.sh(
      """
      for i in $(seq 500); do echo "link add p$i type veth peer name q$i"; done | ip -batch -
      """)
    let churn = try node.start([
      "/bin/bash", "-c",
      """
      batch=$(for i in 1 2 3 4; do echo "link add churn$i type veth peer name churned$i"; echo "link delete churn$i"; done)
      while :; do ip -force -batch - <<<"$batch"; sleep 0.05; done
      """,
    ])
    let isEffective = try eventually(within: .seconds(30)) {
      try node.run(["ip", "link"]).errors.contains("interrupted")
    }
    #expect(isEffective, "no list was interrupted: this test shows nothing")
    var socket = try node.routeSocket()
    for _ in 0..<15 {
      let names = try socket.links().map(\.name)
      #expect(names.count(where: { $0.hasPrefix("p") || $0.hasPrefix("q") }) == 1000)
      #expect(Set(names).count == names.count)
    }
    #expect(churn.isRunning)
  }
}
