import Linux
import Testing
import TestSupport

/// Several helpers on one node: one works, the others wait for a limited time and then name it.
@Suite(.requiresRoot, .timeLimit(.minutes(5)))
struct AgentLockTests {
  private static let lock = "/run/causeway/agent.lock"

  /// Inodes and modification times of the agent's files, which show whether a file was replaced.
  private func files(_ node: TestNode) throws -> String {
    try node.sh("stat -c '%n %i %y' /run/causeway/agent.sock /run/causeway/agent.lock /run/causeway/subnet.env")
  }

  @Test func aSecondAgentNamesTheFirstAndExits() throws {
    let fixture = try AgentFixture()
    let node = fixture.node
    // The agent's answer on its socket shows that the first pass is complete.
    #expect(
      try eventually {
        let status = try node.hostgw("status").output
        return status.contains("node-b") && status.contains("Agent:   runs since")
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
    // The first agent continues.
    try fixture.waitForPass()
    let status = try node.hostgw("status").output
    #expect(status.contains("node-b") && !status.contains("does not run"), "\(status)")
  }

  /// Checks that files of a killed agent, its socket included, do not hinder the next one.
  @Test func anAgentStartsAfterAKilledOne() throws {
    let fixture = try AgentFixture()
    let node = fixture.node
    #expect(try eventually { try node.run(["test", "-S", "/run/causeway/agent.sock"]).status == 0 })
    let monitor = try RouteMonitor(node, "route", "nexthop")
    for _ in 0..<3 {
      fixture.agent.signal(9)
      _ = try fixture.agent.exitStatus()
      #expect(try node.run(["test", "-S", "/run/causeway/agent.sock"]).status == 0)
      let next = try node.start([Binaries.hostgw, "run"])
      #expect(try eventually { try node.hostgw("status").output.contains("Agent:   runs since") }, "\(next.output)")
      next.signal(9)
      _ = try next.exitStatus()
    }
    #expect(try monitor.changes().isEmpty)
  }

  /// Checks that waiting for a stopped agent, which keeps its lock, ends with an error that names it. The agent then
  /// continues.
  @Test func waitingForAStoppedAgentEnds() throws {
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

  /// Checks that waiting for a stopped `sync` ends with an error that names it.
  @Test func waitingForAStoppedSyncEnds() throws {
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
