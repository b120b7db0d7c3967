package import Addresses
internal import Netlink

extension InterfaceChoice {
  /// Asks the kernel by which addresses other nodes reach this one, at most one of each family; blocks the thread.
  ///
  /// - Throws: why there is none, where no family has one.
  package static func addresses(
    _ families: [IPFamily], _ selection: InterfaceSelection, clusterNetworks: [IPPrefix], present: [IPAddress]
  ) throws -> [IPAddress] {
    var socket = try RouteSocket()
    let choice = try InterfaceChoice.read(
      families, selection, clusterNetworks: clusterNetworks, present: present, &socket)
    if choice.interfaces.isEmpty, let problem = choice.problems.first { throw problem }
    return choice.interfaces.map(\.address)
  }
}
