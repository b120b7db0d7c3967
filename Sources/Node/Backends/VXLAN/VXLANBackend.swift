internal import Addresses
internal import Netlink
internal import Nodes
internal import OwnNode

/// Tunnels through whatever is between the nodes, as flannel's vxlan backend makes them, so that its nodes and ours are
/// one cluster; where that is wanted, plain routes to neighbours instead.
struct VXLANBackend: Backend {
  let devices: [TunnelDevice]
  let obstacles: [String: String]
  let mtuBytes: Int
  private let conf: VXLANConf
  private let adjacency: Adjacency
  /// What is wrong with this node's own address; the family then stays as it is.
  private let problems: [IPFamily: String]
  /// For each family what a route through the tunnel says of its MTU.
  private let routeMTUs: [IPFamily: UInt32]

  init(_ conf: VXLANConf, _ basis: BackendBasis) {
    self.conf = conf
    adjacency = basis.adjacency
    let own = basis.own
    problems = own.problems
    let families = own.families(of: basis.snapshot.netConf)
    var devices: [TunnelDevice] = []
    var obstacles: [String: String] = [:]
    for family in families {
      guard own.problems[family] == nil, let local = own.node.address(family),
        let link = basis.state.link(holding: local)
      else { continue }
      let least = VXLANConf.leastMTUBytes(family)
      guard conf.mtuBytes != nil || link.mtuBytes >= least else {
        obstacles[conf.deviceName(family)] =
          "\(link.name) carries \(link.mtuBytes) bytes; tunnels over \(family) need \(least): raise its MTU"
        continue
      }
      let device = TunnelDevice(
        name: conf.deviceName(family), mac: own.node.vtepMAC(family) ?? own.node.derivedVTEPMAC(family, vni: conf.vni),
        mtuBytes: (conf.mtuBytes ?? link.mtuBytes) - VXLANConf.overhead(family),
        vxlan: VXLANSettings(
          vni: conf.vni, port: conf.port, local: local, learns: conf.learns,
          carriesGroupPolicy: conf.carriesGroupPolicy),
        address: own.node.subnet(family).map { IPPrefix(host: $0.first) })
      devices.append(device)
    }
    (self.devices, self.obstacles) = (devices, obstacles)
    let linkMTU = basis.linkMTUBytes
    if conf.routesDirectly, basis.hasMTUPerRoute {
      mtuBytes = linkMTU
      routeMTUs = Dictionary(
        uniqueKeysWithValues: devices.compactMap { device in
          device.vxlan.local.map { ($0.family, UInt32(clamping: device.mtuBytes)) }
        })
    } else {
      // The worst path: one number is told to pods for both families.
      let passable = families.filter { obstacles[conf.deviceName($0)] == nil }
      mtuBytes =
        (conf.mtuBytes ?? linkMTU) - ((passable.isEmpty ? families : passable).map(VXLANConf.overhead).max() ?? 0)
      routeMTUs = [:]
    }
  }

  var makesRoutes: Bool { true }

  func path(to node: Node, in subnet: IPPrefix, at address: IPAddress) -> PeerPath {
    let family = subnet.family
    if let problem = problems[family] { return .none(.offLink(problem)) }
    var reason: String?
    switch adjacency.link(to: address) {
    case .success(let link): if conf.routesDirectly { return .neighbour(link: link.name, index: link.index) }
    case .failure(let offLink):
      if offLink.kind == .impossible { return .none(.offLink(offLink.reason)) }
      if conf.routesDirectly { reason = "through the tunnel: \(offLink.reason)" }
    }
    guard let mac = node.vtepMAC(family) else {
      return .none(.skipped("it does not tell the VtepMAC of its \(family) tunnel device"))
    }
    return .tunnel(
      Tunnel(
        device: conf.deviceName(family), gateway: VXLANBackend.gateway(to: subnet, mac), mac: mac, endpoint: address,
        routeMTUBytes: routeMTUs[family], reason: reason))
  }

  /// What stands for a node's device: for IPv4 the first address of its subnet, which the device has. For IPv6 the
  /// device's link-local address: where a plain route to the subnet is in place, the kernel refuses a gateway inside the
  /// subnet on another link, also one that is called on-link (net/ipv6/route.c, `ip6_route_check_nh_onlink`), and there
  /// would be no replacing the one by the other.
  private static func gateway(to subnet: IPPrefix, _ mac: MACAddress) -> IPAddress {
    subnet.family == .v4 ? subnet.first : mac.linkLocal
  }
}

extension MACAddress {
  /// The IPv6 address that a device gives itself on its link (RFC 4291, appendix A).
  var linkLocal: IPAddress {
    let identifier = [bytes[0] ^ 0x02] + bytes[1...2] + [0xFF, 0xFE] + bytes[3...5]
    return IPAddress(v6: identifier.reduce(0) { $0 << 8 | UInt128($1) } | 0xFE80 << 112)
  }
}
