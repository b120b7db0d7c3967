internal import Addresses
package import Lease
internal import Netlink

extension NodeSnapshot {
  /// What is known without the store, from the node itself: its last lease, and for other nodes the routes that the helper
  /// put into the kernel, so that what is there stays and comes back where it is lost. Blocks the thread.
  ///
  /// - Throws: where this node has no address by which others reach it.
  package init(lastKnown lease: SubnetLease, _ selection: InterfaceSelection) throws {
    let addresses = try InterfaceChoice.addresses(
      lease.networks.map(\.family), selection, clusterNetworks: lease.networks, present: [])
    var own = Node(
      name: addresses.first?.description ?? "", publicIP: addresses.first { $0.family == .v4 },
      publicIPv6: addresses.first { $0.family == .v6 })
    for subnet in lease.subnets { own.setSubnet(subnet.network) }
    var socket = try RouteSocket()
    let state = try NetworkState.read(&socket)
    let gateways = Dictionary(
      (state.nextHops?.owned ?? []).map { ($0.id, $0.gateway) }, uniquingKeysWith: { first, _ in first })
    let nodes = state.routes.compactMap { route -> Node? in
      guard let gateway = route.gateway ?? route.nextHopID.flatMap({ gateways[$0] }),
        gateway.family == route.destination.family
      else { return nil }
      var node = Node(
        name: "\(gateway)", publicIP: gateway.family == .v4 ? gateway : nil,
        publicIPv6: gateway.family == .v6 ? gateway : nil)
      node.setSubnet(route.destination)
      return node
    }
    self.init(netConf: NetConf(networks: lease.networks), nodes: nodes, own: own)
  }
}
