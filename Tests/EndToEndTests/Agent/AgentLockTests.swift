import Linux
import Testing
import TestSupport

/// Several helpers on one node: one works, the others wait for so long or say who works.
@Suite(.requiresRoot, .timeLimit(.minutes(5)))
struct AgentLockTests {
  private static let lock = "/run/causeway/agent.lock"

  /// What tells one file from another that took its place.
  private func files(_ node: TestNode) throws -> String {
    try node.sh("stat -c '%n %i %y' /run/causeway/agent.sock /run/causeway/agent.lock /run/causeway/subnet.env")
  }

  @Test func aSecondAgentSaysSoAndGoes() throws {
    let fixture = try AgentFixture()
    let node = fixture.node
    // From its socket, so that the first pass is over.
    #expect(
      try eventually {
        let status = try node.hostgw("status").output
        return status.contains("node-b") && status.contains("Agent:  runs since")
      }, "\(fixture.agent.output)")
    let (monitor, before) = (try RouteMonitor(node, "route", "nexthop"), try files(node))
    for options in [["run"], ["run", "--forward-rules=false", "--take-over-flannel"], ["clean"]] {
      let second = try node.run([Binaries.hostgw] + options)
      #expect(second.status == 1, "\(second)")
      #expect(
        second.errors.contains(
          "(process \(fixture.agent.processID)) is at work on this node, it holds \(AgentLockTests.lock)"),
        "\(second)")
    }
    #expect(fixture.agent.isRunning)
    #expect(try monitor.changes().isEmpty)
    #expect(try files(node) == before)
    // It goes on with its work.
    try fixture.waitForPass()
    let status = try node.hostgw("status").output
    #expect(status.contains("node-b") && !status.contains("does not run"), "\(status)")
  }

  /// What a killed agent leaves, its socket too, is in nobody's way.
  @Test func afterAKillTheNextOneStarts() throws {
    let fixture = try AgentFixture()
    let node = fixture.node
    #expect(try eventually { try node.run(["test", "-S", "/run/causeway/agent.sock"]).status == 0 })
    let monitor = try RouteMonitor(node, "route", "nexthop")
    for _ in 0..<3 {
      fixture.agent.signal(9)
      _ = try fixture.agent.exitStatus()
      #expect(try node.run(["test", "-S", "/run/causeway/agent.sock"]).status == 0)
      let next = try node.start([Binaries.hostgw, "run"])
      #expect(try eventually { try node.hostgw("status").output.contains("Agent:  runs since") }, "\(next.output)")
      next.signal(9)
      _ = try next.exitStatus()
    }
    #expect(try monitor.changes().isEmpty)
  }

  /// A stopped process keeps its lock: nobody waits for it for ever, all name it, and it goes on as if nothing had been.
  @Test func nobodyWaitsForEverForAStoppedAgent() throws {
    let fixture = try AgentFixture()
    let node = fixture.node
    fixture.agent.signal(19)
    let sync = try node.start([Binaries.hostgw, "sync"])
    let second = try node.start([Binaries.hostgw, "run"])
    for other in [second, sync] {
      #expect(try other.exitStatus(within: .seconds(90)) == 1)
      #expect(other.output.contains("causeway-hostgw run (process \(fixture.agent.processID))"), "\(other.output)")
    }
    fixture.agent.signal(18)
    try fixture.waitForPass()
  }

  /// The same where a pass by hand hangs.
  @Test func nobodyWaitsForEverForAStoppedSync() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.hostgw("sync").succeeded()
    let hung = try node.start([
      "flock", "--no-fork", "--shared", AgentLockTests.lock, "flock", "--no-fork", "/run/causeway/sync.lock", "sleep",
      "1000",
    ])
    #expect(try eventually { try FileLock.isHeldExclusively(node.path("/run/causeway/sync.lock")) })
    hung.signal(19)
    let others = try ["sync", "run"].map { try node.start([Binaries.hostgw, $0]) }
    for other in others {
      #expect(try other.exitStatus(within: .seconds(90)) == 1)
      #expect(
        other.output.contains("another causeway-hostgw (process \(hung.processID)) has held"), "\(other.output)")
    }
    hung.stop()
    try node.hostgw("sync").succeeded()
  }
}
