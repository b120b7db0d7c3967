internal import Addresses
internal import Backends
internal import Netlink
internal import Nodes
internal import OwnNode

/// Routes that this node should have, with the path to every other node; computed once, whatever the kernel has.
struct RouteDemand {
  /// One other node in one family.
  struct Peer {
    /// The route; its state says why there is none unless `path` leads somewhere.
    let route: PeerRoute
    /// `nil` if there is nothing to route.
    let path: PeerPath?
  }

  let basis: BackendBasis
  let devices: DevicePlan
  /// In the order of the nodes.
  let peers: [Peer]
  /// Subnets of this node that get a blackhole route.
  let guardedSubnets: [IPPrefix]
  /// Whether what flannel left is replaced or removed.
  let takesOverFlannel: Bool

  init(
    _ basis: BackendBasis, _ backend: any Backend, devices: DevicePlan, guardsSubnets: Bool, takesOverFlannel: Bool
  ) {
    self.basis = basis
    self.devices = devices
    self.takesOverFlannel = takesOverFlannel
    let own = basis.own
    let families = own.families(of: basis.snapshot.netConf)
    var peers: [Peer] = []
    peers.reserveCapacity(basis.snapshot.nodes.count * families.count)
    for node in basis.snapshot.nodes where node.name != own.node.name {
      for family in families { peers.append(RouteDemand.peer(node, family, backend)) }
    }
    self.peers = peers
    let isOurs = basis.snapshot.netConf.backend.routesAreMadeBy == .helper
    guardedSubnets = guardsSubnets && isOurs ? families.compactMap { own.node.subnets[$0] } : []
  }

  private static func peer(_ node: Node, _ family: IPFamily, _ backend: any Backend) -> Peer {
    var route = PeerRoute(
      node: node.name, family: family, subnet: node.subnets[family], gateway: node.addresses[family], link: nil,
      state: .noSubnet)
    if let obstacle = node.obstacles[family] {
      route.state = .skipped(obstacle)
      return Peer(route: route, path: nil)
    }
    guard let subnet = route.subnet else { return Peer(route: route, path: nil) }
    route.state = .noAddress
    return Peer(route: route, path: route.gateway.map { backend.path(to: node, in: subnet, at: $0) })
  }

  /// Compares the demand with the kernel.
  ///
  /// - Parameter foreign: routes of others in the main table.
  func plan(foreign: [Route]) -> RoutePlan {
    var planner = RoutePlanner(self, foreign: foreign)
    for peer in peers { planner.add(peer) }
    for subnet in guardedSubnets { planner.shut(subnet) }
    return planner.finish()
  }
}
