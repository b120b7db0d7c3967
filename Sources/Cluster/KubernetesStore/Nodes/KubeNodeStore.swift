internal import Addresses
package import Logging
package import Nodes

/// The nodes of Kubernetes, followed by a watch.
package struct KubeNodeStore: NodeStore {
  private let nodes: KubeNodes
  private let view: KubeView
  private let configFile: String
  private let ownAddresses: OwnAddresses
  private let conditions: AgentConditions
  private let logger: Logger

  /// - Parameter configFile: the cluster's `net-conf.json`.
  package init(
    _ nodes: KubeNodes, _ view: KubeView, configFile: String,
    ownAddresses: @escaping OwnAddresses, conditions: AgentConditions, logger: Logger
  ) {
    self.nodes = nodes
    self.view = view
    self.configFile = configFile
    self.ownAddresses = ownAddresses
    self.conditions = conditions
    self.logger = logger
  }

  package var kind: String { "kubernetes" }
  package var source: String { nodes.client.source }

  package func read() async throws -> NodeSnapshot {
    let netConf = try KubeFeed.readConfig(configFile)
    let state = try await nodes.list()
    guard let node = state.nodes[nodes.ownName], let kept = node.own else {
      throw KubeError.noNode(name: nodes.ownName)
    }
    let addresses = try await ownAddresses(kept.chosen + kept.internalIPs, netConf.families, netConf.networks, [])
    var own = Node(name: node.name, addresses: addresses)
    for family in netConf.families {
      if let subnet = node.subnet(family)?.prefix, subnet.problemAsSubnet == nil { own.setSubnet(subnet) }
    }
    guard own.subnet != nil || own.ipv6Subnet != nil else { throw KubeError.noSubnet(node: node.name) }
    return state.snapshot(netConf, own: own)
  }

  package func updates() -> AsyncStream<Result<NodeSnapshot, any Error>> {
    let feed = KubeFeed(
      nodes: nodes, view: view, configFile: configFile, conditions: conditions, logger: logger)
    return view.snapshots(while: { await feed.run() }) { $0.snapshot() }
  }
}
