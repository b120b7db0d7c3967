internal import Addresses
package import Logging
package import Nodes

/// Store of nodes in the Kubernetes API.
package struct KubeNodeStore: NodeStore {
  private let nodes: KubeNodes
  private let view: KubeView
  private let configFile: String
  private let backends: BackendReader
  private let ownAddresses: OwnAddresses
  private let conditions: AgentConditions
  private let logger: Logger

  /// Makes a store.
  ///
  /// - Parameters:
  ///   - view: what is known of the cluster; shared with the lease holder.
  ///   - configFile: path of the cluster's `net-conf.json`.
  ///   - ownAddresses: finds this node's addresses.
  ///   - conditions: receives the state of the connection.
  package init(
    _ nodes: KubeNodes, _ view: KubeView, configFile: String, backends: BackendReader,
    ownAddresses: @escaping OwnAddresses, conditions: AgentConditions, logger: Logger
  ) {
    self.nodes = nodes
    self.view = view
    self.configFile = configFile
    self.backends = backends
    self.ownAddresses = ownAddresses
    self.conditions = conditions
    self.logger = logger
  }

  /// Name of the store on the command line.
  package var kind: String { "kubernetes" }
  /// URL of the API server, for messages.
  package var source: String { nodes.client.source }

  /// Reads all nodes once, without a lease holder.
  ///
  /// - Throws: `KubeError`, or an error of `ownAddresses`.
  package func read() async throws -> NodeSnapshot {
    let netConf = try KubeFeed.readConfig(configFile, backends)
    let state = try await nodes.list()
    guard let node = state.nodes[nodes.ownName], let kept = node.own else {
      throw KubeError.noNode(name: nodes.ownName)
    }
    let addresses = try await ownAddresses(kept.chosen + kept.internalIPs, netConf.families, netConf.networks, [])
    var own = Node(name: node.name, addresses: addresses)
    for family in netConf.families {
      if let subnet = node.subnet(family)?.prefix, subnet.problemAsSubnet == nil { own.setSubnet(subnet) }
    }
    guard !own.subnets.isEmpty else { throw KubeError.noSubnet(node: node.name) }
    return state.snapshot(netConf, own: own)
  }

  /// All nodes, now and after each change.
  package func updates() -> AsyncStream<Result<NodeSnapshot, any Error>> {
    let feed = KubeFeed(
      nodes: nodes, view: view, configFile: configFile, backends: backends, conditions: conditions, logger: logger)
    return view.snapshots(while: { await feed.run() }) { $0.snapshot() }
  }
}
