package import Addresses
internal import Netlink

/// By which addresses other nodes reach this one.
package enum OwnAddresses {
  /// One for each family that has one: what was given, else what is in use and still there, else the first global
  /// address of the given link, of the default route's, or of any.
  package static func find(
    _ families: [IPFamily], _ selection: NodeSelection, clusterNetworks: [IPPrefix], present: [IPAddress]
  ) throws -> [IPAddress] {
    var socket = try RouteSocket()
    let state = try NetworkState.read(&socket)
    let defaults = try socket.routes(table: Route.mainTable).filter { $0.destination.length == 0 }
    let found = families.compactMap { family -> IPAddress? in
      if let given = selection.publicAddresses.first(where: { $0.family == family }) { return given }
      let usable = state.addresses.filter { address in
        address.prefix.family == family && address.scope == 0 && address.isUsable
          && !clusterNetworks.contains { $0.contains(address.prefix.address) }
          && state.link(address.linkIndex).map { !$0.isLoopback && $0.isUp && isWanted($0, selection, state) } ?? false
      }
      if let same = usable.first(where: { present.contains($0.prefix.address) }) { return same.prefix.address }
      let first = defaults.first { $0.destination.family == family }?.linkIndex
      return (usable.first { $0.linkIndex == first } ?? usable.first)?.prefix.address
    }
    guard !found.isEmpty else { throw NoOwnAddress() }
    return found
  }

  private static func isWanted(_ link: Link, _ selection: NodeSelection, _ state: NetworkState) -> Bool {
    guard let interface = selection.interface else { return true }
    return link.name == interface || IPAddress(interface).flatMap(state.link(holding:)) == link
  }
}

/// This machine has no address that other nodes could send to.
struct NoOwnAddress: Error, CustomStringConvertible {
  var description: String {
    "no link of this machine has an address by which other nodes reach it: give it one, or name it with --public-ip"
  }
}
