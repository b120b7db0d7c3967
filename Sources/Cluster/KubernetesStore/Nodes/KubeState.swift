internal import Addresses
package import Nodes

/// The nodes of a cluster at one version.
typealias KubeState = KubeObjects<KubeNode>

extension KubeObjects<KubeNode> {
  /// Nodes by their names.
  var nodes: [String: KubeNode] { objects }

  /// Returns all nodes but this one.
  ///
  /// - Parameter own: this node with its subnets, whatever the store holds of it at the moment.
  func snapshot(_ netConf: NetConf, own: Node) -> NodeSnapshot {
    let others = nodes.values.filter { $0.name != own.name }.sorted { $0.name < $1.name }
    var result = others.map { Node(name: $0.name, addresses: $0.addresses) }
    for family in netConf.families {
      let winners = KubeState.overlaps(others, family, own)
      for (position, node) in others.enumerated() {
        guard let subnet = node.subnet(family) else { continue }
        let overlap = winners[position].map { name, prefix in
          PeerClaim.Overlap(subnet: prefix, node: name, isOwn: name == own.name)
        }
        result[position].take(
          PeerClaim(subnet: subnet.prefix, problem: subnet.problem, backend: node.backend, overlap: overlap),
          in: netConf)
      }
    }
    return NodeSnapshot(netConf: netConf, nodes: result, own: own)
  }

  /// Returns the positions of nodes that overlap an older one or this node, each with the other's name and subnet.
  private static func overlaps(
    _ nodes: [KubeNode], _ family: IPFamily, _ own: Node
  ) -> [Int: (name: String, prefix: IPPrefix)] {
    // This node has the position after the others.
    func subnet(_ position: Int) -> IPPrefix? {
      if position == nodes.count { return own.subnets[family] }
      return nodes[position].subnet(family).flatMap { $0.prefix.problemAsSubnet == nil ? $0.prefix : nil }
    }
    func isOlder(_ left: Int, _ right: Int) -> Bool {
      if left == nodes.count || right == nodes.count { return left == nodes.count }
      return (nodes[left].created, nodes[left].name) < (nodes[right].created, nodes[right].name)
    }
    let order = (0...nodes.count).compactMap { position in subnet(position).map { (position, $0) } }
      .sorted { SubnetOverlaps.precedes($0.1, $1.1) }
    return SubnetOverlaps.losers(order.map(\.0), subnet, isOlder: isOlder).compactMapValues { winner in
      subnet(winner).map { (winner == nodes.count ? own.name : nodes[winner].name, $0) }
    }
  }
}

/// State of Kubernetes as this process knows it, and this node in it.
package typealias KubeView = StoreView<KubeContent>

/// State of a Kubernetes cluster, as this process knows it.
package struct KubeContent: Sendable {
  /// Name of this node in the cluster.
  let ownName: String
  /// Last state read, with the changes since.
  var state: KubeState?
  /// Reason why the last read failed; `nil` again after a success.
  var failure: KubeError?
  /// Cluster's network; `nil` before the file was read.
  var config: Result<NetConf, KubeError>?
  /// Own node with the subnets of its pods; `nil` until they are known.
  var own: Node?
  /// Reason why it has no subnets now; those that it had before still count.
  var refusal: KubeError?

  /// State if it is usable: a list without this node belongs to another cluster.
  var usable: Result<(state: KubeState, node: KubeNode, netConf: NetConf), KubeError>? {
    if let failure { return .failure(failure) }
    guard let state, let config else { return nil }
    guard let node = state.nodes[ownName] else { return .failure(.noNode(name: ownName)) }
    return config.map { (state, node, $0) }
  }
}

extension StoreView where Content == KubeContent {
  /// - Parameter ownName: this node's name in the cluster.
  package convenience init(ownName: String) { self.init(KubeContent(ownName: ownName)) }

  /// Returns the nodes as they are now; `nil` if they are not known yet.
  func snapshot() -> Result<NodeSnapshot, any Error>? {
    let content = content
    switch content.usable {
    case nil: return nil
    case .failure(let error): return .failure(error)
    case .success(let (state, _, netConf)):
      guard let own = content.own else { return content.refusal.map { .failure($0) } }
      return .success(state.snapshot(netConf, own: own))
    }
  }
}
