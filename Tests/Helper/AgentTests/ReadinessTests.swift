import Backends
import Addresses
import Nodes
import NodeState
import Parts
import Testing

@testable import Agent
@testable import NodeLease

/// The order of obstacles to readiness: a ready node has its lease and its network configuration.
@Suite struct ReadinessTests {
  private let rules = TestPart(name: "rules", stage: .rules)
  private let routes = TestPart(name: "routes", stage: .routes)
  private let lease = LeasePart(
    files: PublishedLease(subnetFile: "/nowhere/s", leaseCopy: "/nowhere/l", stateDirectory: "/nowhere"),
    conditions: nil)
  private let conflist = ConflistPart(source: "/nowhere/a", destination: "/nowhere/b")

  private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

  private func note(_ report: some PartReport, of part: some NodePart, in state: AgentState) {
    state.note(report, of: part, NodeView(nodes: nil), took: .zero)
  }

  private func leaseReport() throws -> LeaseReport {
    LeaseReport(
      lease: SubnetLease(
        networks: [try prefix("10.244.0.0/16")], subnets: [try prefix("10.244.1.1/24")], mtuBytes: 1500,
        masquerades: false))
  }

  @Test func obstaclesFollowTheOrderOfStages() throws {
    // The order of the list is not the order of the stages.
    let state = AgentState([conflist, lease, routes, rules], conditions: nil)
    #expect(state.now.obstacle?.words == "the first pass is under way")
    note(TestReport(), of: rules, in: state)
    #expect(state.now.obstacle?.words == "the first pass is under way")
    // Earlier stages are complete; only the lease file is missing.
    note(TestReport(), of: routes, in: state)
    #expect(state.now.obstacle?.words == "this node's lease is not written yet")
    note(LeaseReport(lease: nil), of: lease, in: state)
    #expect(state.now.obstacle?.words == "this node's lease is not written yet")
    note(try leaseReport(), of: lease, in: state)
    #expect(state.now.obstacle?.words == "the network configuration is not in its place yet")
    let failed = try conflist.reconcile(state.view(for: conflist, []), since: nil)
    #expect(failed.findings.map(\.id) == ["CW-CNI-02"])
    note(failed, of: conflist, in: state)
    #expect(state.now.obstacle?.id == "CW-CNI-02")
    note(ConflistReport(), of: conflist, in: state)
    #expect(state.now.obstacle == nil)
  }

  @Test func configurationWaitsForAllEarlierParts() throws {
    let state = AgentState([rules, lease, conflist], conditions: nil)
    note(TestReport(findings: [.obstacle("the rules are not in")]), of: rules, in: state)
    note(try leaseReport(), of: lease, in: state)
    let report = try conflist.reconcile(state.view(for: conflist, []), since: nil)
    #expect(report.findings.map(\.id) == ["CW-CNI-01"])
    #expect(state.now.obstacle?.words == "the rules are not in")
  }

  /// A node that starts while its store does not answer serves pods on its last lease.
  @Test func aStoreThatDoesNotAnswerDelaysNoConfiguration() throws {
    let lease = LeasePart(
      files: PublishedLease(subnetFile: "/nowhere/s", leaseCopy: "/nowhere/l", stateDirectory: "/nowhere"),
      conditions: AgentConditions())
    let state = AgentState([rules, lease, conflist], conditions: nil)
    note(TestReport(), of: rules, in: state)
    note(try leaseReport(), of: lease, in: state)
    #expect(state.now.obstacle?.id == "CW-LSE-01")
    let report = try conflist.reconcile(state.view(for: conflist, []), since: nil)
    // It was tried: there is no such file.
    #expect(report.findings.map(\.id) == ["CW-CNI-02"])
  }

  @Test func theConfigurationWaitsForAWrittenLease() throws {
    let state = AgentState([rules, lease, conflist], conditions: nil)
    note(TestReport(), of: rules, in: state)
    note(LeaseReport(lease: nil), of: lease, in: state)
    let report = try conflist.reconcile(state.view(for: conflist, []), since: nil)
    #expect(report.findings.map(\.id) == ["CW-CNI-01"])
  }

  @Test func aLeaseThatCannotBeWrittenIsTheReason() {
    let state = AgentState([rules, lease], conditions: nil)
    note(TestReport(), of: rules, in: state)
    state.note(failure: "read-only file system", of: lease, took: .zero)
    #expect(state.now.obstacle?.words == "read-only file system")
  }

  @Test func nodeWithoutConflistIsReadyAfterItsLease() throws {
    let state = AgentState([rules, lease], conditions: nil)
    note(TestReport(), of: rules, in: state)
    note(try leaseReport(), of: lease, in: state)
    #expect(state.now.obstacle == nil)
  }

  @Test func extrasDoNotPreventReadiness() {
    let extra = TestPart(name: "extra", stage: .extras)
    let state = AgentState([rules, extra], conditions: nil)
    note(TestReport(), of: rules, in: state)
    #expect(state.now.obstacle == nil)
    note(TestReport(findings: [.obstacle("broken")]), of: extra, in: state)
    #expect(state.now.obstacle == nil)
  }

  @Test func failureIsTheObstacleUntilAPassSucceeds() {
    let state = AgentState([rules], conditions: nil)
    state.note(failure: "no such link", of: rules, took: .zero)
    #expect(state.now.obstacle?.words == "no such link")
    #expect(state.now.networkProblem == "no such link")
    note(TestReport(), of: rules, in: state)
    #expect(state.now.obstacle == nil && state.now.networkProblem == nil)
  }

  @Test func partWaitsForTheNodesAndForEarlierStages() throws {
    let early = TestPart(name: "early", stage: .extras, startsAtOnce: true)
    let state = AgentState([rules, routes, early], conditions: nil)
    #expect(!state.isTurn(of: rules) && state.isTurn(of: early))
    state.note(
      .success(
        NodeSnapshot(netConf: NetConf(networks: [try prefix("10.244.0.0/16")], backend: HostGateway()), nodes: [])))
    #expect(state.isTurn(of: rules) && !state.isTurn(of: routes))
    state.note(failure: "refused", of: rules, took: .zero)
    #expect(!state.isTurn(of: routes))
    note(TestReport(), of: rules, in: state)
    #expect(state.isTurn(of: routes))
  }

  @Test func stagesAreInTheOrderInWhichPodsNeedThem() {
    let order: [Stage] = [
      .rules, .policy, .devices, .routes, .health, .cloud, .lease, .bgp, .conflist, .extras,
    ]
    #expect(Stage.allCases.sorted() == order)
    #expect(
      [conflist as any NodePart, rules, lease, routes].inStageOrder.map(\.name) == [
        "rules", "routes", "lease", "conflist",
      ])
  }

  @Test func allRepairsAreCountedAndTheLastTwentyAreKept() {
    let state = AgentState([rules], conditions: nil)
    let repair = Change("table repaired", [.init(.rules, "inet causeway")])
    for _ in 0..<30 { note(TestReport(actions: [repair], repairs: [repair]), of: rules, in: state) }
    #expect(state.now.records["rules"]?.tally.repairs == 30)
    #expect(state.now.lastRepairs.count == 20)
  }
}
