package import Addresses
internal import Netlink

extension InterfaceChoice {
  /// Asks the kernel for the addresses by which other nodes reach this one, at most one of each family. Blocks the
  /// thread.
  ///
  /// - Parameter wishes: the first that a link holds is taken for a family without a selector.
  /// - Throws: the reason, if no family has an address.
  package static func addresses(
    _ families: [IPFamily], _ selection: InterfaceSelection, wishes: [IPAddress] = [], clusterNetworks: [IPPrefix],
    present: [IPAddress]
  ) throws -> [IPAddress] {
    var socket = try RouteSocket()
    var selection = selection
    if !wishes.isEmpty, !selection.namesLinks {
      let held = Set(try socket.addresses().map(\.prefix.address))
      for family in families where selection.publicAddress(family) == nil {
        selection.publicAddresses += wishes.filter { $0.family == family && held.contains($0) }.prefix(1)
      }
    }
    let choice = try InterfaceChoice.read(
      families, selection, clusterNetworks: clusterNetworks, present: present, &socket)
    if choice.interfaces.isEmpty, let problem = choice.problems.first { throw problem }
    return choice.interfaces.map(\.address)
  }
}
