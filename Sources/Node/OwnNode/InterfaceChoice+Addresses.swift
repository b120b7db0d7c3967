package import Addresses
internal import Netlink

extension InterfaceChoice {
  /// Asks the kernel by which addresses other nodes reach this one, at most one of each family; blocks the thread.
  ///
  /// - Parameter wishes: where nothing is selected for a family, the first of these that a link holds.
  /// - Throws: why there is none, where no family has one.
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
