internal import Addresses
internal import Attachments
internal import CNI
internal import Glibc
internal import Linux
internal import Netlink
internal import NodeState

/// `"mode": "routed"`: no bridge. The pod has its address alone, without a network around it, and reaches everything
/// through a gateway that is the same for all pods; the node has one route to each pod.
enum RoutedPod {
  /// 169.254.1.1 and fe80::1, on each cable the node's end. The pod knows its MAC by static neighbours; where somebody
  /// in the pod loses them, the node answers for these two and for nobody else.
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
      ("vlan or vlanTrunk", configuration.vlans != nil),
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

extension Cable {
  /// Sets what must hold when the node's end of a routed pod's cable comes up.
  func prepare(hasIPv6: Bool) throws(SystemError) {
    // Whoever gives pods IPv6 addresses wants it on, also where it is off on new links. Without them its routes, three for
    // each link, would make links of later pods slower to come and go.
    try Sysctl.ensureIfPresent("net/ipv6/conf/\(hostName)/disable_ipv6", hasIPv6 ? "0" : "1")
    // No pod becomes the node's router by advertising itself as one, as it could where the node forwards no IPv6.
    if hasIPv6 { try Sysctl.ensureIfPresent("net/ipv6/conf/\(hostName)/accept_ra", "0") }
  }
}

/// The node's side of a routed pod.
struct NodeSide {
  let cable: Cable
  let addresses: [IPAddress]

  /// Makes the node's routes to the pod, which go with the cable, and lets the bridge's pods find it.
  func add(_ attachment: Attachment, bridgeName: String, _ host: inout RouteSocket) throws {
    guard let link = try host.link(named: cable.hostName) else {
      throw CNIError(.failed, "the link \(cable.hostName) went away while it was set up")
    }
    for family in IPFamily.allCases where addresses.contains(where: { $0.family == family }) {
      let gateway = RoutedPod.gateway(family)
      switch family {
      // As an address of the link it would be the one that the node speaks to the pod from.
      case .v4: try host.perform(.answer(for: Neighbour(gateway, linkIndex: link.index)))
      case .v6:
        if let address = IPPrefix(gateway, length: 64) {
          try host.perform(.addAddress(address, to: link.index), accepting: EEXIST)
        }
      }
      try Bridge.enableForwarding(family)
    }
    for address in addresses {
      try add(Route(IPPrefix(host: address), linkIndex: link.index, owner: RouteProtocol.plugin), attachment, &host)
    }
    try answerForPods(addresses, onBridge: bridgeName, &host)
  }

  /// A route that an earlier pod left gives way; that of a pod whose cable is there does not, nor does somebody else's.
  private func add(_ route: Route, _ attachment: Attachment, _ host: inout RouteSocket) throws {
    if try host.perform(.addRoute(route), accepting: EEXIST) { return }
    let present = try host.routes(owner: RouteProtocol.plugin, families: [route.destination.family])
      .first { $0.destination == route.destination && $0.table == route.table }
    guard let present else {
      throw CNIError(
        .failed, "somebody else's route to \(route.destination) is in the way of \(cable.hostName)",
        details: "see ip route show \(route.destination): remove it, or keep the address out of the IPAM ranges")
    }
    if let link = try present.linkIndex.flatMap({ try host.link(index: $0) }), let alias = link.alias,
      alias.hasPrefix(Attachment.aliasPrefix), alias != attachment.linkAlias
    {
      throw CNIError(
        .failed,
        "\(alias.dropFirst(Attachment.aliasPrefix.count)) has the address \(route.destination.address) already",
        details: "do two networks give out the same addresses? Give each ranges of its own")
    }
    try host.perform(.replaceRoute(route))
  }
}

/// Pods on the bridge of the same subnet take a routed pod for a neighbour: for its address, and no other, the node
/// answers there. Nothing is done where the bridge is not there or is in other networks.
private func answerForPods(_ addresses: [IPAddress], onBridge name: String, _ host: inout RouteSocket) throws {
  guard let bridge = try host.link(named: name) else { return }
  let networks = try host.addresses(on: bridge.index).map(\.prefix)
  try host.answer(for: addresses.filter { address in networks.contains { $0.contains(address) } }, on: bridge)
}

extension RouteSocket {
  fileprivate mutating func answer(for addresses: [IPAddress], on link: Link) throws {
    for (family, directory) in [(IPFamily.v4, "ipv4"), (.v6, "ipv6")]
    where addresses.contains(where: { $0.family == family }) {
      // The kernel would take its time, up to a second, in which a nearer host may answer (RFC 4861, section 7.2.8).
      try Sysctl.ensureIfPresent("net/\(directory)/neigh/\(link.name)/proxy_delay", "0")
      if family == .v6 { try Sysctl.ensureIfPresent("net/ipv6/conf/\(link.name)/proxy_ndp", "1") }
    }
    for failure in try perform(addresses.map { .answer(for: Neighbour($0, linkIndex: link.index)) }) {
      if let failure { throw failure }
    }
  }

  /// The same for the routed pods that are there when the bridge gets a network of theirs.
  mutating func answerForRoutedPods(in network: IPPrefix, on link: Link) throws {
    let pods = try routes(owner: RouteProtocol.plugin, families: [network.family]).map(\.destination)
      .filter { $0.length == $0.family.bitCount && network.contains($0.address) }
    try answer(for: pods.map(\.address), on: link)
  }
}
