package import Addresses

/// Claim of another node's record in a store, in one family. It is judged in one place for all stores whose nodes write
/// their own records: one bad record harms only its own node.
package struct PeerClaim {
  /// Older claim to some of the same addresses.
  package struct Overlap {
    /// Claimed subnet.
    package let subnet: IPPrefix
    /// Name of the node that holds it.
    package let node: String
    /// Whether this node holds it itself.
    package let isOwn: Bool

    package init(subnet: IPPrefix, node: String, isOwn: Bool = false) {
      self.subnet = subnet
      self.node = node
      self.isOwn = isOwn
    }
  }

  /// Claimed subnet.
  package let subnet: IPPrefix
  /// Reason why the record itself cannot be used.
  package let problem: String?
  /// `nil` if the node publishes none: it then counts as one of the cluster's.
  package let backend: BackendRecord?
  /// Older claim to some of the same addresses; `nil` if there is none.
  package let overlap: Overlap?

  package init(subnet: IPPrefix, problem: String?, backend: BackendRecord?, overlap: Overlap?) {
    self.subnet = subnet
    self.problem = problem
    self.backend = backend
    self.overlap = overlap
  }

  /// First reason against a route: the record, its backend, the cluster's network, an older claim.
  fileprivate func obstacle(in netConf: NetConf, _ network: IPPrefix) -> String? {
    if let problem { return problem }
    if let backend, let problem = netConf.backend.problem(of: backend, subnet.family) { return problem }
    if !network.contains(subnet) { return "\(subnet) is not in the cluster's network \(network)" }
    return overlap.map {
      "it overlaps \($0.subnet) of \($0.node), which is \($0.isOwn ? "this node" : "older")"
    }
  }
}

extension Node {
  /// Takes over a claim together with the obstacle to it, if the cluster has the claim's family.
  package mutating func take(_ claim: PeerClaim, in netConf: NetConf) {
    let family = claim.subnet.family
    guard let network = netConf.network(family) else { return }
    subnets[family] = claim.subnet
    backendData[family] = claim.backend?.data[family]
    obstacles[family] = claim.obstacle(in: netConf, network)
  }
}
