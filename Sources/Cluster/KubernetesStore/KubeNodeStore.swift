internal import Addresses
package import Logging
package import Nodes

/// The nodes of Kubernetes, followed by a watch.
package struct KubeNodeStore: NodeStore {
  private let client: KubeClient
  private let view: KubeView
  private let configFile: String
  private let backends: BackendReader
  private let ownAddresses: OwnAddresses
  private let conditions: AgentConditions
  private let logger: Logger

  /// - Parameter configFile: the cluster's `net-conf.json`.
  package init(
    _ client: KubeClient, _ view: KubeView, configFile: String, backends: BackendReader,
    ownAddresses: @escaping OwnAddresses, conditions: AgentConditions, logger: Logger
  ) {
    self.client = client
    self.view = view
    self.configFile = configFile
    self.backends = backends
    self.ownAddresses = ownAddresses
    self.conditions = conditions
    self.logger = logger
  }

  package var kind: String { "kubernetes" }
  package var source: String { client.source }

  package func read() async throws -> NodeSnapshot {
    let netConf = try KubeFeed.readConfig(configFile, backends)
    let state = try await client.list()
    guard let node = state.nodes[client.ownName], let kept = node.own else {
      throw KubeError.noNode(name: client.ownName)
    }
    let addresses = try await ownAddresses(kept.chosen + kept.internalIPs, netConf.families, netConf.networks, [])
    var own = Node(name: node.name, addresses: addresses)
    for family in netConf.families {
      if let subnet = node.subnet(family)?.prefix, subnet.problemAsSubnet == nil { own.setSubnet(subnet) }
    }
    guard !own.subnets.isEmpty else { throw KubeError.noSubnet(node: node.name) }
    return state.snapshot(netConf, own: own)
  }

  package func updates() -> AsyncStream<Result<NodeSnapshot, any Error>> {
    let feed = KubeFeed(
      client: client, view: view, configFile: configFile, backends: backends, conditions: conditions,
      logger: logger)
    return view.snapshots(while: { await feed.run() }) { $0.snapshot() }
  }
}
