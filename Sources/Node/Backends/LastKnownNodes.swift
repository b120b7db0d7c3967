internal import Addresses
internal import Netlink
package import Nodes
package import NodeState
package import OwnNode

extension NodeSnapshot {
  /// Nodes that this node knows without the store: itself by its last lease, the others by the helper's routes in the
  /// kernel. What is there stays, and is restored if it is lost. Blocks the thread.
  ///
  /// - Throws: if this node has no address by which others reach it.
  package init(lastKnown lease: SubnetLease, _ selection: InterfaceSelection) throws {
    let addresses = try InterfaceChoice.addresses(
      lease.networks.map(\.family), selection, clusterNetworks: lease.networks, present: [])
    var socket = try RouteSocket()
    let state = try NetworkState.read(&socket)
    let known = BackendList.lastKnown(in: state)
    var own = Node(name: addresses.first?.description ?? "", addresses: addresses)
    for subnet in lease.subnets { own.setSubnet(subnet.network) }
    own.backendData = known.ownData
    self.init(
      netConf: NetConf(networks: lease.networks, backend: known.backend), nodes: state.lastNodes(known), own: own)
    mtuBytes = lease.mtuBytes
  }
}

extension NetworkState {
  /// Nodes that routes lead to, as far as the kernel knows them, named by their addresses.
  fileprivate func lastNodes(_ known: LastKnownBackend) -> [Node] {
    let gateways = Dictionary(
      (nextHops?.owned ?? []).map { ($0.id, $0.gateway) }, uniquingKeysWith: { first, _ in first })
    return routes.compactMap { route in
      guard let gateway = route.gateway ?? route.nextHopID.flatMap({ gateways[$0] }),
        gateway.family == route.destination.family
      else { return nil }
      let peer = known.peer(gateway, route.linkIndex)
      var node = Node(name: "\(peer.address)", addresses: [peer.address])
      node.setSubnet(route.destination)
      node.backendData[gateway.family] = peer.data
      return node
    }
  }
}
