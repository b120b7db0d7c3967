internal import Addresses
package import Nodes

/// The nodes of a cluster at one version.
typealias KubeState = KubeObjects<KubeNode>

extension KubeObjects<KubeNode> {
  /// Nodes by their names.
  var nodes: [String: KubeNode] { objects }

  /// All nodes but this one.
  ///
  /// - Parameter own: this node and what its pods live in, whatever the store says of it at the moment.
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

  /// Which nodes share addresses with an older one or with this node, by their positions, and with which.
  private static func overlaps(
    _ nodes: [KubeNode], _ family: IPFamily, _ own: Node
  ) -> [Int: (name: String, prefix: IPPrefix)] {
    // This node stands behind the others.
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

/// What this process knows of Kubernetes and what it is there.
package typealias KubeView = StoreView<KubeContent>

package struct KubeContent: Sendable {
  /// What this node is called there.
  let ownName: String
  /// The last that was read, with what has changed since.
  var state: KubeState?
  /// Why the last reading failed; `nil` again as soon as one succeeds.
  var failure: KubeError?
  /// The cluster's network, `nil` before the file was read.
  var config: Result<NetConf, KubeError>?
  /// This node with the subnets that its pods may use, once that is known.
  var own: Node?
  /// Why it has no subnets; what it had before counts on.
  var refusal: KubeError?

  /// The state, where it can be built on: a list without this node is none of its cluster.
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

  /// The nodes as they are now; `nil` where nothing can be said yet.
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
