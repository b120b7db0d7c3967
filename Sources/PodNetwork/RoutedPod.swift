internal import Addresses
internal import CNI
internal import Glibc
internal import JSON
internal import Linux
internal import Netlink

/// `"mode": "routed"`: no bridge. The pod has its address alone, without a network around it, and reaches everything
/// through a gateway that is the same for all pods; the node has one route to each pod.
enum RoutedPod {
  /// 169.254.1.1 and fe80::1. No link has them: both ends of the cable know each other's MAC by static neighbours, so
  /// nobody is asked and nobody answers for anybody.
  static func gateway(_ family: IPFamily) -> IPAddress {
    switch family {
    case .v4: IPAddress(v4: 0xA9FE_0101)
    case .v6: IPAddress(v6: 0xFE80 << 112 | 1)
    }
  }

  /// Refuses what has no meaning without a bridge: better no pod than one that lacks what its configuration says.
  static func check(_ configuration: AttachmentConfiguration) throws {
    let meaningless: [(String, Bool)] = [
      ("promiscMode", configuration.isPromiscuous), ("macspoofchk", configuration.checksMAC),
      ("portIsolation", configuration.isIsolated), ("forceAddress", configuration.forceAddress),
      ("vlan or vlanTrunk", configuration.vlans != nil), ("isGateway: false", !configuration.isGateway),
      ("disableContainerInterface", configuration.leavesInterfaceDown), ("enabledad", configuration.detectsDuplicates),
    ]
    if let (key, _) = meaningless.first(where: { $0.1 }) {
      throw CNIError(
        .unsupportedField, "\(key) is not supported with mode = \"routed\"",
        details: "it is about the pod's port of a bridge: remove it, or set mode to \"bridge\"")
    }
    guard configuration.hasAddresses else {
      throw CNIError(
        .invalidConfiguration, "mode = \"routed\" needs addresses",
        details: "give an ipam section, or set mode to \"bridge\"")
    }
  }
}

extension PodAddresses {
  /// The same addresses without networks around them.
  var routed: PodAddresses {
    var routed = self
    routed.ips = ips.map { ip in
      var ip = ip
      ip.address = IPPrefix(host: ip.address.address)
      ip.gateway = RoutedPod.gateway(ip.address.family)
      ip.interface = AttachmentResult.routedPodIndex
      return ip
    }
    // The node is the only neighbour.
    routed.routes = routes.map { route in
      var route = route
      if route.gateway != nil { route.gateway = RoutedPod.gateway(route.destination.family) }
      return route
    }
    // IPv4 wants a route to the gateway first; a link-local one of IPv6 is on every link.
    if ips.contains(where: { $0.address.family == .v4 }) {
      var route = PodRoute(IPPrefix(host: RoutedPod.gateway(.v4)))
      route.scope = Route.linkScope
      routed.routes.insert(route, at: 0)
    }
    return routed
  }
}

extension AttachmentResult {
  /// The pod's interface, behind the host's end.
  static let routedPodIndex = 1
}

/// The node's side of a routed pod.
struct NodeSide {
  let cable: Cable
  let addresses: [IPAddress]

  /// Makes the node's routes to the pod, which go with the cable, and lets the bridge's pods find it.
  func add(bridgeName: String, _ host: inout RouteSocket) throws {
    guard let index = try host.linkIndex(named: cable.hostName) else {
      throw CNIError(.failed, "the link \(cable.hostName) went away while it was set up")
    }
    // No pod becomes the node's router by advertising itself as one, as it could where the node forwards no IPv6.
    try Sysctl.ensureIfPresent("net/ipv6/conf/\(cable.hostName)/accept_ra", "0")
    let neighbours = addresses.map { StaticNeighbour($0, mac: cable.podMAC, linkIndex: index) }
    for failure in try host.perform(neighbours.map { .replaceNeighbour($0) }) {
      if let failure { throw failure }
    }
    for address in addresses { try NodeSide.add(NodeSide.route(to: address, index), cable.hostName, &host) }
    for family in IPFamily.allCases where addresses.contains(where: { $0.family == family }) {
      try Bridge.enableForwarding(family)
    }
    try answerForPods(addresses, onBridge: bridgeName, &host)
  }

  static func route(to address: IPAddress, _ linkIndex: Int32) -> Route {
    Route(IPPrefix(host: address), linkIndex: linkIndex, owner: pluginOwner)
  }

  /// A route that an earlier pod left, whose cable nobody has removed, gives way; somebody else's does not.
  private static func add(_ route: Route, _ name: String, _ host: inout RouteSocket) throws {
    if try host.perform(.addRoute(route), accepting: EEXIST) { return }
    let present = try host.routes(owner: pluginOwner, families: [route.destination.family])
    guard present.contains(where: { $0.destination == route.destination && $0.table == route.table }) else {
      throw CNIError(
        .failed, "somebody else's route to \(route.destination) is in the way of \(name)",
        details: "see ip route show \(route.destination): remove it, or keep the address out of the IPAM ranges")
    }
    try host.perform(.replaceRoute(route))
  }
}

/// Pods on the bridge of the same subnet take a routed pod for a neighbour: for its address, and no other, the node
/// answers there. Nothing is done where the bridge is not there or is in other networks.
private func answerForPods(_ addresses: [IPAddress], onBridge name: String, _ host: inout RouteSocket) throws {
  guard let bridge = try host.linkIndex(named: name) else { return }
  let networks = try host.addresses(on: bridge).map(\.prefix)
  try host.answer(for: addresses.filter { address in networks.contains { $0.contains(address) } }, on: bridge, name)
}

extension RouteSocket {
  fileprivate mutating func answer(for addresses: [IPAddress], on link: Int32, _ name: String) throws {
    for (family, directory) in [(IPFamily.v4, "ipv4"), (.v6, "ipv6")]
    where addresses.contains(where: { $0.family == family }) {
      // The kernel would take its time, up to a second, in which a nearer host may answer (RFC 4861, section 7.2.8).
      try Sysctl.ensureIfPresent("net/\(directory)/neigh/\(name)/proxy_delay", "0")
      if family == .v6 { try Sysctl.ensureIfPresent("net/ipv6/conf/\(name)/proxy_ndp", "1") }
    }
    for failure in try perform(addresses.map { .answer(for: Neighbour($0, linkIndex: link)) }) {
      if let failure { throw failure }
    }
  }

  /// The same for the routed pods that are there when the bridge gets a network of theirs.
  mutating func answerForRoutedPods(in network: IPPrefix, on link: Link) throws {
    let pods = try routes(owner: pluginOwner, families: [network.family]).map(\.destination)
      .filter { $0.length == $0.family.bitCount && network.contains($0.address) }
    try answer(for: pods.map(\.address), on: link.index, link.name)
  }

  /// Ends the answers for a pod that is gone; whatever fails harms nobody.
  mutating func stopAnswering(for addresses: [IPAddress], onBridge name: String) {
    guard let bridge = try? linkIndex(named: name) else { return }
    _ = try? perform(addresses.map { .stopAnswering(for: Neighbour($0, linkIndex: bridge)) })
  }
}
