import Addresses
import Netlink
import Testing

@testable import Backends
@testable import NodeRoutes
@testable import NodeState
@testable import Nodes
@testable import OwnNode
@testable import causeway_hostgw

/// What must come before pods can be served: whoever was told that a node is ready finds lease and conflist there.
@Suite struct AgentStateTests {
  private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

  /// A pass came to its end, of a node without peers.
  private func notePass(in state: AgentState, hasLease: Bool) throws {
    let lease = SubnetLease(
      networks: [try prefix("10.244.0.0/16")], subnets: [try prefix("10.244.1.1/24")], mtuBytes: 1500,
      masquerades: false)
    let node = Node(
      name: "a", addresses: PerFamily(v4: IPAddress("192.0.2.1")), subnets: PerFamily(v4: try prefix("10.244.1.0/24")))
    let snapshot = NodeSnapshot(
      netConf: NetConf(networks: [try prefix("10.244.0.0/16")], backend: HostGateway()), nodes: [node])
    let kernel = NetworkState(
      links: [Link(index: 2, name: "eth0", mtuBytes: 1500, flags: 0x1 | 0x2 | 0x10000)],
      addresses: [LinkAddress(try prefix("192.0.2.1/24"), linkIndex: 2)], nextHops: nil)
    let report = Reconciler.Report(
      own: try LocalNode(snapshot, NodeSelection(hostName: "a"), state: kernel), peers: [],
      lease: hasLease ? lease : nil,
      isNewLease: true, changes: [], problems: [], warnings: [],
      basis: Reconciler.Basis(
        snapshot: snapshot, adjacency: Adjacency(kernel, clusterNetworks: [], preferred: []), takenNumbers: nil))
    state.note(report, snapshot, isRepair: false, took: .zero)
  }

  @Test func firstTheLeaseThenTheConfiguration() throws {
    let state = AgentState(nil, placesConfiguration: true)
    #expect(state.now.obstacles == ["the first pass is under way"])
    // The store has given one meanwhile, or is about to.
    try notePass(in: state, hasLease: false)
    #expect(state.now.obstacles == ["this node's lease is not written yet"])
    try notePass(in: state, hasLease: true)
    #expect(state.now.obstacles == ["the network configuration is not in its place yet"])
    state.note(configurationObstacle: "cannot write")
    #expect(state.now.obstacles == ["cannot write"])
    state.note(configurationObstacle: nil)
    #expect(state.now.obstacles == [])
  }

  @Test func whereNoConfigurationIsAskedForTheLeaseIsTheLast() throws {
    let state = AgentState(nil, placesConfiguration: false)
    try notePass(in: state, hasLease: true)
    #expect(state.now.obstacles == [])
  }
}
