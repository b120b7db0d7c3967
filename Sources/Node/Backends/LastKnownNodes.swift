internal import Addresses
internal import Netlink
package import Nodes
package import NodeState
package import OwnNode

extension NodeSnapshot {
  /// What is known without the store, from the node itself: its last lease, and for other nodes what the helper put into
  /// the kernel, so that what is there stays and comes back where it is lost. Blocks the thread.
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
    for device in state.tunnelDevices {
      if let family = device.vxlan?.local?.family { own.setVTEPMAC(device.mac, family) }
    }
    self.init(
      netConf: NetConf(networks: lease.networks, backend: state.lastBackend), nodes: state.lastNodes(), own: own)
    mtuBytes = lease.mtuBytes
  }
}

extension NetworkState {
  fileprivate var tunnelDevices: [Link] { links.filter(TunnelDevice.isOurs) }

  /// The backend that has made what is there.
  fileprivate var lastBackend: BackendConf {
    guard let device = tunnelDevices.first, let vxlan = device.vxlan, let family = vxlan.local?.family else {
      return .hostGateway
    }
    let indexes = tunnelDevices.map(\.index)
    return .vxlan(
      VXLANConf(
        vni: vxlan.vni, port: vxlan.port, mtuBytes: device.mtuBytes + VXLANConf.overhead(family),
        carriesGroupPolicy: vxlan.carriesGroupPolicy, learns: vxlan.learns,
        routesDirectly: routes.contains { route in
          !route.isBlackhole && !(route.linkIndex.map(indexes.contains) ?? false)
        }))
  }

  /// The nodes that routes lead to, as far as the kernel knows them: by their addresses.
  fileprivate func lastNodes() -> [Node] {
    let gateways = Dictionary(
      (nextHops?.owned ?? []).map { ($0.id, $0.gateway) }, uniquingKeysWith: { first, _ in first })
    let macs = Dictionary(neighbours.map { ($0.address, $0.mac) }, uniquingKeysWith: { first, _ in first })
    let endpoints = Dictionary(forwarding.map { ($0.mac, $0.destination) }, uniquingKeysWith: { first, _ in first })
    let devices = Set(tunnelDevices.map(\.index))
    return routes.compactMap { route in
      guard let gateway = route.gateway ?? route.nextHopID.flatMap({ gateways[$0] }),
        gateway.family == route.destination.family
      else { return nil }
      let mac = route.linkIndex.flatMap { devices.contains($0) ? macs[gateway] : nil }
      let address = mac.flatMap { endpoints[$0] } ?? gateway
      var node = Node(
        name: "\(address)", publicIP: address.family == .v4 ? address : nil,
        publicIPv6: address.family == .v6 ? address : nil)
      node.setSubnet(route.destination)
      node.setVTEPMAC(mac, gateway.family)
      return node
    }
  }
}
