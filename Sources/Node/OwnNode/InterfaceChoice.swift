package import Addresses
package import Netlink

/// Link and address of each family by which other nodes reach this one, or why there is none.
package struct InterfaceChoice: Sendable, Equatable {
  /// Link and an address that it holds.
  package struct Interface: Sendable, Equatable {
    /// Link by which other nodes reach this one.
    package let link: Link
    /// Address by which other nodes reach this one.
    package let address: IPAddress
  }

  /// Chosen interfaces, in the order of the wanted families.
  package private(set) var interfaces: [Interface] = []
  /// Problems, one for each wanted family without an interface.
  package private(set) var problems: [InterfaceProblem] = []

  /// Chooses an address, or stays with the present one. The present one is left only if no link holds it any more, for
  /// a better one of the same link (such as a permanent one), or for an earlier selector.
  ///
  /// - Parameters:
  ///   - present: the addresses that other nodes know.
  ///   - state: with the default routes and the links to reach, where the selection or their lack asks for them.
  package init(
    _ families: [IPFamily], _ selection: InterfaceSelection, state: NetworkState, clusterNetworks: [IPPrefix],
    present: [IPAddress] = []
  ) {
    let search = InterfaceSearch(
      selection: selection, state: state, clusterNetworks: clusterNetworks, present: present)
    let found = families.map { search.interface($0) }
    let link = found.lazy.compactMap { try? $0.get().link }.first
    for (family, result) in zip(families, found) {
      // A family without a default route follows the other one to its link.
      let followed = link.flatMap { search.lacksDefaultRoute(family) ? search.interface(family, beside: $0) : nil }
      switch followed ?? result {
      case .success(let interface): interfaces.append(interface)
      case .failure(let problem): problems.append(problem)
      }
    }
  }

  /// Reads the kernel's state and chooses.
  package static func read(
    _ families: [IPFamily], _ selection: InterfaceSelection, clusterNetworks: [IPPrefix],
    present: [IPAddress] = [], _ socket: inout RouteSocket
  ) throws(NetlinkError) -> InterfaceChoice {
    var state = try NetworkState.read(for: selection, &socket)
    let search = InterfaceSearch(
      selection: selection, state: state, clusterNetworks: clusterNetworks, present: present)
    if families.contains(where: search.needsDefaultRoutes) { state.defaultRoutes = try socket.defaultRoutes() }
    return InterfaceChoice(
      families, selection, state: state, clusterNetworks: clusterNetworks, present: present)
  }

  /// Interface of a family.
  package func interface(_ family: IPFamily) -> Interface? {
    interfaces.first { $0.address.family == family }
  }
}

/// Reason why a family has no link or address by which other nodes reach this one: the selectors, what was found, and
/// the remedy.
package struct InterfaceProblem: Error, Sendable, Equatable, CustomStringConvertible {
  /// Family without an address.
  package let family: IPFamily
  /// Reason, as words after a colon.
  package let reason: String

  package var description: String { "no \(family) address by which other nodes reach this one: \(reason)" }
}
