internal import Addresses
internal import Attachments
internal import CNI
internal import Glibc
internal import Linux
internal import Netlink
internal import NodeState

/// The node's side of a routed pod, without a bridge. The pod has its address alone, without a network around it, and one
/// gateway that is the same for all pods; the node has one route to each pod.
struct RoutedSide: HostSide {
  private let spec: RoutedSpec

  init(_ spec: RoutedSpec, _ host: inout HostNetwork) {
    self.spec = spec
  }

  var bridgeLink: Link? { nil }

  /// The node is the only one, and the pod's end has a new MAC for it too.
  var hasNeighbours: Bool { false }

  func finish(_ pair: VethPair, mayHaveIPv6: Bool, _ host: inout HostNetwork) throws(PodNetworkError) {
    // A pod with IPv6 addresses needs IPv6 here, also where it is off on new links. Without addresses, IPv6's routes, three
    // for each link, would make links of later pods slower to come and go.
    try fromSystem(Sysctl.ensureIfPresent("net/ipv6/conf/\(pair.hostName)/disable_ipv6", mayHaveIPv6 ? "0" : "1"))
    // No pod becomes the node's router by advertising itself as one, as it could where the node forwards no IPv6.
    if mayHaveIPv6 { try fromSystem(Sysctl.ensureIfPresent("net/ipv6/conf/\(pair.hostName)/accept_ra", "0")) }
    try fromNetlink(host.socket.perform(.changeLink(name: pair.hostName, LinkChange(isUp: true, alias: pair.alias))))
  }

  func ensureGateways(_ gateways: [IPPrefix], areFromLease: Bool, mtuBytes: Int?, _ host: inout HostNetwork) {}

  func assigned(_ addresses: PodAddresses) -> PodAddresses { addresses.routed.on(interface: RoutedSide.podIndex) }

  /// Makes the node's routes to the pod, which the kernel removes with the link, and answers for the pod on the bridge.
  func addRoutes(to addresses: [IPAddress], through pair: VethPair, _ host: inout HostNetwork) throws(PodNetworkError) {
    host.undo.push(.answers(addresses))
    guard let link = try fromNetlink(host.socket.link(named: pair.hostName)) else {
      throw PodNetworkError(.failed, "the link \(pair.hostName) was removed while it was set up")
    }
    for family in IPFamily.allCases where addresses.contains(where: { $0.family == family }) {
      let gateway = RoutedSide.gateway(family)
      switch family {
      // As an address of the link it would be the one that the node speaks to the pod from.
      case .v4: try fromNetlink(host.socket.perform(.answer(for: Neighbour(gateway, linkIndex: link.index))))
      case .v6:
        if let address = IPPrefix(gateway, length: 64) {
          try fromNetlink(host.socket.perform(.addAddress(address, to: link.index), accepting: EEXIST))
        }
      }
      try Bridge.enableForwarding(family)
    }
    for address in addresses {
      try RoutedSide.add(
        Route(IPPrefix(host: address), linkIndex: link.index, owner: RouteProtocol.plugin), pair, &host.socket)
    }
    try answerForPods(addresses, onBridge: spec.bridgeName, &host.socket)
  }

  func permanentNeighbours(of addresses: PodAddresses) -> [IPAddress] {
    addresses.ips.compactMap { $0.gateway }
  }

  func gatewayMAC(_ pair: VethPair) -> MACAddress? { pair.hostMAC }

  func removeOldGateways(_ leaseSource: LeaseSource, _ host: inout HostNetwork) {}

  func interfaces(
    around ends: [AttachmentResult.Interface], _ version: SpecVersion, _ host: inout HostNetwork
  ) -> [AttachmentResult.Interface] {
    ends
  }

  /// Index of the pod's interface in the result, behind the host's end.
  private static let podIndex = 1

  /// 169.254.1.1 and fe80::1, on each veth pair the node's end. The pod knows its MAC by permanent neighbour entries. If
  /// they are lost in the pod, the node answers for these two addresses and for no others.
  static func gateway(_ family: IPFamily) -> IPAddress {
    switch family {
    case .v4: IPAddress(v4: 0xA9FE_0101)
    case .v6: IPAddress(v6: 0xFE80 << 112 | 1)
    }
  }

  /// Adds a route and replaces one that an earlier pod left. The route of a pod that is there, or of another program, is
  /// an error.
  private static func add(_ route: Route, _ pair: VethPair, _ host: inout RouteSocket) throws(PodNetworkError) {
    if try fromNetlink(host.perform(.addRoute(route), accepting: EEXIST)) { return }
    let present = try fromNetlink(host.routes(owner: RouteProtocol.plugin, families: [route.destination.family]))
      .first { $0.destination == route.destination && $0.table == route.table }
    guard let present else {
      throw PodNetworkError(
        .failed, "somebody else's route to \(route.destination) is in the way of \(pair.hostName)",
        details: "see ip route show \(route.destination): remove it, or keep the address out of the IPAM ranges")
    }
    if let index = present.linkIndex, let link = try fromNetlink(host.link(index: index)), let alias = link.alias,
      alias.hasPrefix(Attachment.aliasPrefix), alias != pair.alias
    {
      throw PodNetworkError(
        .failed,
        "\(alias.dropFirst(Attachment.aliasPrefix.count)) has the address \(route.destination.address) already",
        details: "do two networks give out the same addresses? Give each ranges of its own")
    }
    try fromNetlink(host.perform(.replaceRoute(route)))
  }
}

extension RoutedSide {
  static func check(
    _ spec: RoutedSpec, _ result: AttachmentResult, _ podLink: Link, _ host: inout RouteSocket
  ) throws(PodNetworkError) -> Link {
    guard let peerIndex = podLink.peerIndex, let port = try fromNetlink(host.link(index: peerIndex)) else {
      throw fault("the host's end of \"\(podLink.name)\" is gone")
    }
    guard port.isUp else { throw fault("\(port.name), the host's end of \"\(podLink.name)\", is down") }
    let routes = try fromNetlink(host.routes(owner: RouteProtocol.plugin))
    for address in result.ips.map({ $0.address.address })
    where !routes.contains(where: { $0.destination == IPPrefix(host: address) && $0.linkIndex == port.index }) {
      throw fault("the node has lost its route to \(address) through \(port.name)")
    }
    return port
  }
}

extension PodAddresses {
  /// The addresses without networks around them, with the gateway that all routed pods have.
  fileprivate var routed: PodAddresses {
    var routed = self
    routed.ips = ips.map { ip in
      var ip = ip
      ip.address = IPPrefix(host: ip.address.address)
      ip.gateway = RoutedSide.gateway(ip.address.family)
      return ip
    }
    // The node is the only neighbour.
    routed.routes = routes.map { route in
      var route = route
      if route.gateway != nil { route.gateway = RoutedSide.gateway(route.destination.family) }
      return route
    }
    // IPv4 needs a route to the gateway first; a link-local gateway of IPv6 is on every link.
    if ips.contains(where: { $0.address.family == .v4 }) {
      var route = PodRoute(IPPrefix(host: RoutedSide.gateway(.v4)))
      route.scope = Route.linkScope
      routed.routes.insert(route, at: 0)
    }
    return routed
  }
}
