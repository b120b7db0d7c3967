internal import Addresses
internal import CNI
internal import Glibc
internal import Linux
internal import Netlink
internal import NodeState

/// The bridge that a node's pods are cabled to.
struct Bridge {
  let link: Link
  /// The one that it keeps from now on.
  let mac: MACAddress?

  /// Makes the bridge or adopts the one that is there.
  static func ensure(
    _ configuration: AttachmentConfiguration, _ state: StateDirectory, _ host: inout RouteSocket, _ undo: inout Undo
  ) throws -> Bridge {
    let name = configuration.bridgeName
    var found = try host.link(named: name)
    if found == nil {
      var generator = SystemRandomNumberGenerator()
      // Its MTU is left to the kernel, which keeps it at the least of the ports' (net/bridge/br_if.c).
      undo.push(.bridge(name, state))
      if try host.perform(.addBridge(name: name, mac: .random(using: &generator)), accepting: EEXIST) {
        // The bridge's link-local address comes into being with the first port. It must be usable at once: until it
        // is, the node finds no neighbour over IPv6.
        try Sysctl.ensureIfPresent("net/ipv6/conf/\(name)/accept_dad", "0")
        // No pod becomes the node's router by advertising itself as one, as it could where the node forwards no IPv6.
        try Sysctl.ensureIfPresent("net/ipv6/conf/\(name)/accept_ra", "0")
      }
      found = try host.link(named: name)
    }
    guard let link = found else {
      throw CNIError(.failed, "the bridge \(name) went away while it was set up")
    }
    guard link.kind == "bridge" else {
      throw CNIError(
        .invalidConfiguration, "\"\(name)\" already exists but is not a bridge",
        details: "it is \(link.kind ?? "a device"): name another bridge, or remove the link")
    }
    let mac = try keptMAC(of: link, &host)
    if !link.isUp || (configuration.isPromiscuous && !link.isPromiscuous) {
      try host.perform(
        .changeLink(
          link.index, name: name,
          LinkChange(isUp: true, isPromiscuous: configuration.isPromiscuous ? true : nil)))
    }
    return Bridge(link: link, mac: mac)
  }

  /// Puts the gateways' addresses on the node's port in a VLAN, where there is one, or on the bridge, and lets the node forward.
  ///
  /// Where the addresses come from the node's lease, another address joins those that are there: a lease may change
  /// while pods of the old one still run. Where they come from the configuration, another address is an error as in
  /// the reference, unless `forceAddress`.
  ///
  /// - Returns: whether other addresses than these remain, which may be a former lease's.
  func ensureGateways(
    _ gateways: [IPPrefix], on port: Link?, fromLease: Bool, _ configuration: AttachmentConfiguration,
    _ state: StateDirectory,
    _ host: inout RouteSocket, _ undo: inout Undo
  ) throws -> Bool {
    let link = port ?? link
    let present = try host.addresses(on: link.index).map(\.prefix)
    for gateway in gateways where !present.contains(gateway) {
      if !fromLease {
        for other in present where Bridge.conflicts(other, gateway) {
          guard configuration.forceAddress else {
            throw CNIError(
              .invalidConfiguration, "\"\(link.name)\" already has an IP address different from \(gateway)",
              details: "it has \(other): remove it, use another bridge, or set forceAddress")
          }
          undo.push(.forcedAway(other, bridgeIndex: link.index))
          try host.perform(.removeAddress(other, from: link.index), accepting: EADDRNOTAVAIL)
        }
      }
      undo.push(.gateway(gateway, Traces(configuration.network, configuration.type), state))
      // Before, for whoever comes after one that is killed here; behind, for pods that came meanwhile.
      try host.answerForRoutedPods(in: gateway.network, on: link)
      try addGateway(gateway, to: link, owner: fromLease ? RouteProtocol.plugin : nil, &host)
      // As for a new bridge. One that was there and is no gateway may be the node's own uplink, and is left alone.
      try Sysctl.ensureIfPresent("net/ipv6/conf/\(link.name)/accept_ra", "0")
      try host.answerForRoutedPods(in: gateway.network, on: link)
    }
    for family in IPFamily.allCases where gateways.contains(where: { $0.family == family }) {
      try Bridge.enableForwarding(family)
    }
    return present.contains { !gateways.contains($0) && !$0.address.isLinkLocal }
  }

  /// Only the gateway of a lease is marked as the plugin's, since only a lease's gateway goes again by itself.
  private func addGateway(_ gateway: IPPrefix, to link: Link, owner: UInt8?, _ host: inout RouteSocket) throws {
    let request = NetlinkRequest.addAddress(gateway, to: link.index, owner: owner)
    do throws(NetlinkError) {
      // EEXIST: another ADD on the same new bridge was first.
      try host.perform(request, accepting: EEXIST)
    } catch {
      guard error.errno == EACCES, gateway.family == .v6 else { throw error }
      // IPv6 is switched off on the bridge, as net.ipv6.conf.default.disable_ipv6 has it.
      try Sysctl.ensure("net/ipv6/conf/\(link.name)/disable_ipv6", "0")
      try host.perform(request, accepting: EEXIST)
    }
  }

  /// IPv4: any other address; IPv6: one whose network overlaps (link-local ones never do).
  private static func conflicts(_ present: IPPrefix, _ gateway: IPPrefix) -> Bool {
    present.family == gateway.family && (gateway.family == .v4 || present.overlaps(gateway))
  }

  /// Lets the node pass on packets of the family.
  static func enableForwarding(_ family: IPFamily) throws(SystemError) {
    switch family {
    case .v4: try Sysctl.ensure("net/ipv4/ip_forward", "1")
    case .v6: try Sysctl.ensure("net/ipv6/conf/all/forwarding", "1")
    }
  }
}
