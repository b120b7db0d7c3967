import JSON
import Linux
import Testing
import TestSupport

/// The agent when the Kubernetes API or the path to it fails.
@Suite(.requiresRoot, .timeLimit(.minutes(3)))
struct KubeFailureTests {
  /// A node whose agent has the routes to two peers.
  private final class Fixture {
    static let routes = ["10.244.2.0/24 via 192.0.2.12", "10.244.3.0/24 via 192.0.2.13"]
    let cluster: KubeCluster
    let agent: RunningProgram
    var node: TestNode { cluster.nodes[0] }
    var server: KubeServer { cluster.server }

    init() throws {
      cluster = try KubeCluster(1)
      try Fixture.putPeers(cluster)
      agent = try cluster.agent(0)
      try expectRoutes()
      #expect(try eventually { try cluster.server.condition("node-a")?.first == "False" }, "\(agent.output)")
    }

    static func putPeers(_ cluster: KubeCluster) throws {
      try cluster.server.put(
        KubeCluster.node("node-b", podCIDRs: ["10.244.2.0/24"], addresses: ["192.0.2.12"]),
        KubeCluster.node("node-c", podCIDRs: ["10.244.3.0/24"], addresses: ["192.0.2.13"]))
    }

    /// How many voluntary context switches an agent's threads have made.
    func contextSwitches(_ agent: RunningProgram) throws -> Int {
      try agent.threadStatus("voluntary_ctxt_switches").compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        .reduce(0, +)
    }

    /// Adds a node.
    func add(_ number: Int) throws {
      try server.put(
        KubeCluster.node("peer-\(number)", podCIDRs: ["10.244.\(number).0/24"], addresses: ["192.0.2.\(10 + number)"]))
    }

    func expectRoutes(_ numbers: Int..., within limit: Duration = .seconds(20)) throws {
      let more = numbers.map { "10.244.\($0).0/24 via 192.0.2.\(10 + $0)" }
      try node.expectRoutes(Fixture.routes + more, agent, within: limit)
    }
  }

  @Test func anEndedWatchResumes() throws {
    let fixture = try Fixture()
    let lists = try fixture.server.count("list")
    try fixture.server.command(["do": "drop"])
    try fixture.add(4)
    try fixture.expectRoutes(4)
    // The server ends the watch properly, several times.
    try fixture.server.fail("watch", "short", times: 3)
    try fixture.server.command(["do": "drop"])
    try fixture.add(5)
    try fixture.expectRoutes(4, 5)
    // Answers that are not JSON, and temporary errors.
    for kind in ["garbage", "html", "500"] { try fixture.server.fail("watch", kind) }
    try fixture.server.command(["do": "drop"])
    try fixture.add(6)
    try fixture.expectRoutes(4, 5, 6)
    #expect(try fixture.server.count("list") == lists, "\(fixture.agent.output)")
    let watches = try fixture.server.records().filter { $0.verb == "watch" }
    #expect(watches.allSatisfy { $0.query["allowWatchBookmarks"] == "true" })
    let times = watches.compactMap { $0.query["timeoutSeconds"]?.string.flatMap { Int($0) } }
    #expect(times.count == watches.count && times.allSatisfy { (300...600).contains($0) }, "\(times)")
  }

  /// Compacts the history after bookmarks have moved the watch's position, so that it still resumes.
  @Test func bookmarksAvoidANewList() throws {
    let fixture = try Fixture()
    let lists = try fixture.server.count("list")
    try fixture.server.command(["do": "bookmarks", "seconds": .real(0.2)])
    try fixture.server.command(["do": "compact"])
    MonotonicTime.sleep(.seconds(1))
    try fixture.server.command(["do": "drop"])
    try fixture.add(4)
    try fixture.expectRoutes(4)
    #expect(try fixture.server.count("list") == lists, "\(fixture.agent.output)")
  }

  @Test(arguments: ["gone", "expired", "error"])
  func anExpiredWatchBeginsWithANewList(_ how: String) throws {
    let fixture = try Fixture()
    let lists = try fixture.server.count("list")
    try fixture.server.fail("watch", how)
    // A deletion during the interruption is detected by the node's absence in the list.
    try fixture.add(4)
    try fixture.expectRoutes(4)
    try fixture.server.command(["do": "drop"])
    try fixture.server.delete("peer-4")
    try fixture.add(5)
    try fixture.expectRoutes(5)
    #expect(try fixture.server.count("list") == lists + 1, "\(fixture.agent.output)")
    #expect(!fixture.agent.output.contains("can't be read"), "\(fixture.agent.output)")
  }

  /// Refuses watches. After 422 a new list helps, after 429 it does not.
  @Test(arguments: [("429", 0), ("422", 1)])
  func aRefusedWatchBeginsWithANewListIfThatHelps(_ status: String, _ more: Int) throws {
    let fixture = try Fixture()
    let lists = try fixture.server.count("list")
    try fixture.server.fail("watch", status, times: 4)
    try fixture.server.command(["do": "drop"])
    try fixture.add(4)
    try fixture.expectRoutes(4, within: .seconds(40))
    #expect(try fixture.server.count("list") == lists + more, "\(fixture.agent.output)")
  }

  @Test func aListThatExpiresBetweenPagesIsRestarted() throws {
    let cluster = try KubeCluster(1)
    try Fixture.putPeers(cluster)
    let more = (0..<600).map { KubeCluster.node("peer-\($0)", podCIDRs: [], addresses: []) }
    try cluster.server.command(["do": "put", "nodes": .array(more)])
    // The first page succeeds and the second one expires.
    try cluster.server.fail("list", "none")
    try cluster.server.fail("list", "410")
    let agent = try cluster.agent(0)
    try cluster.nodes[0].expectRoutes(Fixture.routes, agent)
    let lists = try cluster.server.records().filter { $0.verb == "list" }
    #expect(lists.map { $0.query["continue"] != nil } == [false, true, false, true], "\(lists)")
  }

  @Test func incompleteAndInvalidAnswersChangeNothing() throws {
    let fixture = try Fixture()
    for kind in ["truncated", "cut", "html", "500", "truncated", "slow"] { try fixture.server.fail("list", kind) }
    try fixture.server.fail("watch", "expired")
    try fixture.add(4)
    try fixture.expectRoutes(4)
    try fixture.server.command(["do": "drop"])
    // While no list succeeds, routes stay, and lost ones are repaired.
    #expect(
      eventually(within: .seconds(20)) { fixture.agent.output.contains("can't be read") }, "\(fixture.agent.output)")
    try fixture.node.sh("ip route del 10.244.2.0/24")
    try fixture.expectRoutes(4)
    try fixture.add(5)
    try fixture.expectRoutes(4, 5, within: .seconds(40))
    #expect(fixture.agent.output.contains("the nodes can be read again"), "\(fixture.agent.output)")
  }

  @Test func anUnreachableServerChangesNothing() throws {
    let fixture = try Fixture()
    fixture.server.stop()
    #expect(
      eventually(within: .seconds(20)) { fixture.agent.output.contains("can't be read") }, "\(fixture.agent.output)")
    try fixture.expectRoutes()
    // A second agent that starts now changes nothing, and continues when the server returns.
    fixture.agent.stop()
    let second = try fixture.cluster.agent(0)
    #expect(eventually { second.output.contains("can't be read") }, "\(second.output)")
    // Longer than the delay of a failure report. The agent must not poll in this time.
    let switches = try fixture.contextSwitches(second)
    MonotonicTime.sleep(.seconds(12))
    #expect(try fixture.contextSwitches(second) - switches < 2000)
    #expect(try fixture.node.podRoutes() == Fixture.routes && fixture.node.subnetOfLease() == "10.244.1.0/24")
    try fixture.server.start()
    try fixture.add(4)
    try fixture.node.expectRoutes(Fixture.routes + ["10.244.4.0/24 via 192.0.2.14"], second, within: .seconds(30))
    // The node has not changed, so nothing is written again.
    #expect(try fixture.server.count("patch") == 0)
  }

  @Test func aWatchResumesAfterTheServersRestart() throws {
    let fixture = try Fixture()
    fixture.server.stop()
    try fixture.server.start()
    try fixture.add(4)
    try fixture.expectRoutes(4, within: .seconds(30))
    #expect(try fixture.server.count("list") == 0, "\(fixture.agent.output)")
  }

  @Test func aClusterWithoutThisNodeChangesNothing() throws {
    let fixture = try Fixture()
    try fixture.server.delete("node-a")
    #expect(eventually { fixture.agent.output.contains("the cluster has no node node-a") }, "\(fixture.agent.output)")
    try fixture.server.delete("node-b")
    MonotonicTime.sleep(.seconds(1))
    try fixture.expectRoutes()
    try fixture.server.put(KubeCluster.node("node-a", podCIDRs: ["10.244.1.0/24"], addresses: ["192.0.2.11"]))
    try fixture.node.expectRoutes(["10.244.3.0/24 via 192.0.2.13"], fixture.agent)
  }

  /// Stops all events of a watch without closing its connection.
  @Test func aSilentWatchIsRestarted() throws {
    let fixture = try Fixture()
    try fixture.server.command(["do": "silence"])
    try fixture.add(4)
    try fixture.expectRoutes(4, within: .seconds(120))
    #expect(!fixture.agent.output.contains("can't be read"), "\(fixture.agent.output)")
  }

  @Test func aSilentlyDeadConnectionIsAbandoned() throws {
    let fixture = try Fixture()
    try fixture.cluster.segment.setCarrier(false, of: fixture.server.machine)
    #expect(
      eventually(within: .seconds(60)) { fixture.agent.output.contains("can't be read") }, "\(fixture.agent.output)")
    try fixture.expectRoutes()
    try fixture.add(4)
    try fixture.cluster.segment.setCarrier(true, of: fixture.server.machine)
    try fixture.expectRoutes(4, within: .seconds(60))
  }

  @Test func aFailedPatchIsRetried() throws {
    let cluster = try KubeCluster(1)
    try Fixture.putPeers(cluster)
    try cluster.server.command(["do": "forbid", "verb": "patch", "resource": "nodes/status"])
    let agent = try cluster.agent(0)
    // Peers use the kubelet's address, so their routes work without the annotation.
    try cluster.nodes[0].expectRoutes(Fixture.routes, agent)
    #expect(
      eventually { agent.output.contains("its role must allow the verb patch on the resource nodes/status") },
      "\(agent.output)")
    // Changes do not cause immediate retries.
    let before = try cluster.server.count("patch")
    for number in 1...60 {
      try cluster.server.merge(
        "node-b",
        ["metadata": ["annotations": ["flannel.alpha.coreos.com/public-ip": .string("192.0.2.\(20 + number)")]]])
    }
    #expect(try cluster.nodes[0].podRoutes().count == 2 && cluster.server.count("patch") - before < 25)
    let errors = try cluster.status(0)["errors"]?.array?.compactMap(\.string) ?? []
    #expect(errors.contains { $0.contains("patch nodes/status") }, "\(errors)")
    try cluster.server.command(["do": "allow"])
    try cluster.server.fail("patch", "500", times: 2)
    #expect(
      try eventually(within: .seconds(30)) { try cluster.server.annotations("node-a")["public-ip"] == "192.0.2.11" },
      "\(agent.output)")
    #expect(try eventually(within: .seconds(30)) { try cluster.server.condition("node-a")?.first == "False" })
    // A removed annotation is restored.
    try cluster.server.merge("node-a", ["metadata": ["annotations": ["flannel.alpha.coreos.com/public-ip": .null]]])
    #expect(
      try eventually(within: .seconds(30)) { try cluster.server.annotations("node-a")["public-ip"] == "192.0.2.11" },
      "\(agent.output)")
  }
}
