internal import Addresses
package import Logging
package import Nodes

/// Store of nodes in etcd, in flannel's layout.
package struct EtcdNodeStore: NodeStore {
  private let client: EtcdClient
  private let view: EtcdView
  private let backends: BackendReader
  private let ownAddresses: OwnAddresses
  private let conditions: AgentConditions
  private let logger: Logger

  /// Makes a store.
  ///
  /// - Parameters:
  ///   - view: what is known of etcd; shared with the lease holder.
  ///   - ownAddresses: finds this node's addresses.
  ///   - conditions: receives the state of the connection.
  package init(
    _ client: EtcdClient, _ view: EtcdView, backends: BackendReader,
    ownAddresses: @escaping OwnAddresses, conditions: AgentConditions, logger: Logger
  ) {
    self.client = client
    self.view = view
    self.backends = backends
    self.ownAddresses = ownAddresses
    self.conditions = conditions
    self.logger = logger
  }

  /// Name of the store on the command line.
  package var kind: String { "etcd" }
  /// All endpoints, for messages.
  package var source: String { client.source }

  /// Reads all nodes once, without a lease holder.
  ///
  /// - Throws: `EtcdError`, or an error of `ownAddresses`.
  package func read() async throws -> NodeSnapshot {
    let state = EtcdState(try await client.list(), client.layout, backends)
    let config = try state.config.get()
    let networks = config.netConf.networks
    let addresses = try await ownAddresses([], config.netConf.families, networks, [])
    var own = Node(name: addresses.first?.description ?? "", addresses: addresses)
    for record in state.records.sorted where record.belongs(to: addresses) && record.problem == nil {
      for subnet in IPFamily.allCases.compactMap(record.subnet) { own.setSubnet(subnet) }
    }
    guard own.subnets.v4 != nil else {
      throw EtcdError.noSubnet(addresses: addresses.map { "\($0)" }.joined(separator: ", "))
    }
    return state.snapshot(config, own: own)
  }

  /// All nodes, now and after each change.
  package func updates() -> AsyncStream<Result<NodeSnapshot, any Error>> {
    let feed = EtcdFeed(
      client: client, view: view, backends: backends, conditions: conditions, logger: logger)
    return view.snapshots(while: { await feed.run() }) { $0.snapshot() }
  }
}
