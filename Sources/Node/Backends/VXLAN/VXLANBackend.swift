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
  /// Problems of this node's own addresses; such a family stays as it is.
  private let problems: [IPFamily: String]
  /// MTU of routes through each family's tunnel.
  private let routeMTUs: [IPFamily: UInt32]
  private let nodeName: String
  /// Index of the link that holds this node's own address of a family.
  private let ownLinks: [IPFamily: Int32]

  init(_ conf: VXLANConf, _ basis: BackendBasis) {
    self.conf = conf
    adjacency = basis.adjacency
    let own = basis.own
    problems = own.problems
    let families = own.families(of: basis.snapshot.netConf)
    nodeName = own.node.name
    var devices: [TunnelDevice] = []
    var obstacles: [String: String] = [:]
    var ownLinks: [IPFamily: Int32] = [:]
    for family in families {
      guard own.problems[family] == nil, let local = own.node.addresses[family],
        let link = basis.state.link(holding: local)
      else { continue }
      ownLinks[family] = link.index
      let least = VXLANConf.leastMTUBytes(family)
      guard conf.mtuBytes != nil || link.mtuBytes >= least else {
        obstacles[conf.deviceName(family)] =
          "\(link.name) carries \(link.mtuBytes) bytes; tunnels over \(family) need \(least): raise its MTU"
        continue
      }
      let settings = VXLANSettings(
        vni: conf.vni, port: conf.port, local: local, learns: conf.learns, carriesGroupPolicy: conf.carriesGroupPolicy)
      let device = TunnelDevice(
        name: conf.deviceName(family), kind: .vxlan(settings),
        mac: VXLANData(own.node.backendData[family])?.mac ?? conf.derivedMAC(ofNode: own.node.name, family),
        mtuBytes: (conf.mtuBytes ?? link.mtuBytes) - VXLANConf.overhead(family),
        address: own.node.subnets[family].map { IPPrefix(host: $0.first) },
        // Where the kernel drops packets that come by another link than it would answer by (1 on the device or on
        // `all`), packets that a node sends through the tunnel are lost until both sides have chosen the same path.
        reversePathFilter: family == .v4 ? 2 : nil)
      devices.append(device)
    }
    (self.devices, self.obstacles, self.ownLinks) = (devices, obstacles, ownLinks)
    let linkMTU = basis.linkMTUBytes
    if conf.routesDirectly, basis.hasMTUPerRoute {
      mtuBytes = linkMTU
      routeMTUs = Dictionary(
        uniqueKeysWithValues: devices.compactMap { device in
          device.kind.local.map { ($0.family, UInt32(clamping: device.mtuBytes)) }
        })
    } else {
      // The smallest MTU of all paths: pods get one number for both families.
      let passable = families.filter { obstacles[conf.deviceName($0)] == nil }
      mtuBytes =
        (conf.mtuBytes ?? linkMTU) - ((passable.isEmpty ? families : passable).map(VXLANConf.overhead).max() ?? 0)
      routeMTUs = [:]
    }
  }

  /// Compares the settings; flannel confines its device to the link that has the address, which makes no difference.
  func isSameTunnel(_ link: Link, as device: TunnelDevice) -> Bool {
    guard case .vxlan(var found)? = link.tunnel, case .vxlan(let wanted) = device.kind else { return false }
    if let index = found.linkIndex, let family = wanted.local?.family, index == ownLinks[family] {
      found.linkIndex = nil
    }
    return found == wanted
  }

  /// Recognises the derived address, which no other program gives to a device of this network and port.
  func hasMade(_ link: Link, for device: TunnelDevice) -> Bool {
    guard case .vxlan(let found)? = link.tunnel, case .vxlan(let wanted) = device.kind,
      let family = wanted.local?.family
    else { return false }
    return found.vni == wanted.vni && found.port == wanted.port
      && link.mac == conf.derivedMAC(ofNode: nodeName, family)
  }

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
    guard let mac = VXLANData(node.backendData[family])?.mac else {
      return .none(.skipped("it does not publish the VtepMAC of its \(family) tunnel device"))
    }
    let gateway = VXLANBackend.gateway(to: subnet, mac)
    return .tunnel(
      Tunnel(
        device: conf.deviceName(family), gateway: gateway,
        conflict: "its VtepMAC \(mac) is that of another node, too", routeMTUBytes: routeMTUs[family], reason: reason
      ) { linkIndex in
        [
          .neighbour(StaticNeighbour(gateway, mac: mac, linkIndex: linkIndex)),
          .forwarding(ForwardingEntry(mac, to: address, linkIndex: linkIndex)),
        ]
      })
  }

  /// Gateway address of a node's device: for IPv4 the first address of its subnet, which the device has; for IPv6 the
  /// device's link-local address. While a plain route to the subnet exists, the kernel refuses an IPv6 gateway inside the
  /// subnet on another link, even if it is on-link (net/ipv6/route.c, `ip6_route_check_nh_onlink`), so that the one could
  /// not replace the other.
  private static func gateway(to subnet: IPPrefix, _ mac: MACAddress) -> IPAddress {
    subnet.family == .v4 ? subnet.first : mac.linkLocal
  }
}

extension MACAddress {
  /// IPv6 link-local address of a device (RFC 4291, appendix A).
  var linkLocal: IPAddress {
    let identifier = [bytes[0] ^ 0x02] + bytes[1...2] + [0xFF, 0xFE] + bytes[3...5]
    return IPAddress(v6: identifier.reduce(0) { $0 << 8 | UInt128($1) } | 0xFE80 << 112)
  }
}
