package import Addresses
package import Netlink
internal import NodeState

/// State of this node's kernel: links and addresses, and what the helper made before.
package struct NetworkState: Sendable {
  /// Links of this machine.
  package var links: [Link]
  /// Addresses of the links.
  package var addresses: [LinkAddress]
  /// Helper's routes in the main table.
  package var routes: [Route]
  /// Helper's next hops; `nil` if the kernel has none (before 5.3).
  package var nextHops: NextHopTable?
  /// Default routes of the main table; read only if the choice of an interface depends on them.
  package var defaultRoutes: [DefaultRoute] = []
  /// Links by which the kernel would send to the addresses that the choice of an interface asks about.
  package var linksToReach: [IPAddress: Int32] = [:]

  /// Entries that were set by hand on the helper's tunnel devices.
  package var entries: [DeviceEntry] = []
  /// Routes of others to a part of one of this node's own networks; read only if neighbours are reached by another path
  /// than the other nodes.
  package var detours: [Route] = []

  package init(links: [Link], addresses: [LinkAddress], routes: [Route] = [], nextHops: NextHopTable? = nil) {
    self.links = links
    self.addresses = addresses
    self.routes = routes
    self.nextHops = nextHops
  }

  /// Networks of routes without a gateway; read only if an own address has no network.
  package var onLinkNetworks: [(network: IPPrefix, linkIndex: Int32)] = []

  /// Reads what the choice of an interface depends on, except for the default routes, which may stand among many
  /// others.
  package static func read(
    for selection: InterfaceSelection, _ socket: inout RouteSocket
  ) throws(NetlinkError) -> NetworkState {
    var state = NetworkState(links: try socket.links(), addresses: try socket.addresses())
    try state.ask(selection, &socket)
    return state
  }

  /// Fills in `linksToReach`.
  package mutating func ask(_ selection: InterfaceSelection, _ socket: inout RouteSocket) throws(NetlinkError) {
    for address in selection.reachable { linksToReach[address] = try socket.linkIndex(toReach: address) }
  }

  /// Fills in `onLinkNetworks` if one of these addresses has no network: DHCPv6 gives such addresses (/128), and a
  /// router announces the network (RFC 8415, RFC 4861).
  package mutating func askForNetworks(of own: [IPAddress], _ socket: inout RouteSocket) throws(NetlinkError) {
    let alone = addresses.filter { address in
      own.contains(address.prefix.address) && address.prefix.length == address.prefix.family.bitCount
    }
    let families = IPFamily.allCases.filter { family in alone.contains { $0.prefix.family == family } }
    guard !families.isEmpty else { return }
    let links = Set(alone.map(\.linkIndex))
    for route in try socket.routes(table: Route.mainTable, families: families) {
      guard let link = route.linkIndex, links.contains(link), route.gateway == nil, route.nextHopID == nil,
        route.type == Route.unicastType, route.destination.length > 0,
        route.destination.length < route.destination.family.bitCount
      else { continue }
      onLinkNetworks.append((route.destination, link))
    }
  }

  /// Fills in `detours`. Routes into the cluster's networks are left out: no node's address lies there, and there may
  /// be thousands.
  package mutating func askForDetours(outside cluster: [IPPrefix], _ socket: inout RouteSocket) throws(NetlinkError) {
    let networks = addresses.map(\.prefix).filter { network in
      !network.address.isLoopback && !network.address.isLinkLocal && !cluster.contains { $0.contains(network.address) }
    }
    detours = try socket.routes(table: Route.mainTable).filter { route in
      ![RouteProtocol.helper, RouteProtocol.plugin].contains(route.owner) && route.type == Route.unicastType
        && !cluster.contains { $0.contains(route.destination) }
        && networks.contains { $0.length < route.destination.length && $0.contains(route.destination) }
    }
  }

  /// Returns the link of an index.
  package func link(_ index: Int32) -> Link? {
    links.first { $0.index == index }
  }

  /// Returns the link that holds this address.
  package func link(holding address: IPAddress) -> Link? {
    addresses.first { $0.prefix.address == address }.flatMap { link($0.linkIndex) }
  }
}
