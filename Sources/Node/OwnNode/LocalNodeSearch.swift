internal import Addresses
internal import Netlink
internal import Nodes

/// Steps that find this machine among the nodes.
struct LocalNodeSearch {
  let snapshot: NodeSnapshot
  let selection: NodeSelection
  let state: NetworkState

  /// Finds the node that this machine is.
  func node() throws(LocalNodeError) -> Node {
    let nodes = snapshot.nodes
    if let name = selection.name {
      guard let node = nodes.first(where: { $0.name == name }) else {
        throw .unknownName(name, known: NetworkState.list(nodes.map(\.name)))
      }
      return node
    }
    if let address = selection.interface.publicAddresses.first {
      guard let node = nodes.first(where: { $0.addresses[address.family] == address }) else {
        throw .unknownAddress(address)
      }
      return node
    }
    if let node = nodes.first(where: { $0.name == selection.hostName }) { return node }
    return try nodeByOwnAddress()
  }

  private func nodeByOwnAddress() throws(LocalNodeError) -> Node {
    // An address that another machine has too does not show which of the two we are.
    let own = Set(try addresses().filter { !$0.isDuplicate }.map(\.prefix.address))
    let matching = snapshot.nodes.filter { node in
      node.addresses.values.contains(where: own.contains)
    }
    guard let first = matching.first else {
      throw .notFound(hostName: selection.hostName, addresses: try addressList())
    }
    if matching.count > 1 { throw .ambiguous(first: first.name, second: matching[1].name) }
    return first
  }

  /// Returns the links that hold the node's public addresses, and the problem of each address that none holds.
  func links(of node: Node) throws(LocalNodeError) -> (links: [Link], problems: [IPFamily: String]) {
    for given in selection.interface.publicAddresses where node.addresses[given.family] != given {
      let found = node.addresses[given.family].map(\.description) ?? "no \(given.family) address"
      throw .otherAddress(node: node.name, given: given, found: found)
    }
    let wanted = node.addresses.values
    guard !wanted.isEmpty else { throw .noAddress(node: node.name) }
    let own = try addresses()
    var links: [Link] = []
    var problems: [IPFamily: String] = [:]
    var unusable: String?
    for address in wanted {
      let held = own.first { $0.prefix.address == address }
      guard let held, let link = state.link(held.linkIndex) else {
        problems[address.family] = "\(address) of node \(node.name), this machine, is on none of its links"
        continue
      }
      if let obstacle = held.obstacle(clusterNetworks: []) {
        unusable = "\(address) of node \(node.name), this machine, \(obstacle) on \(link.name)"
        problems[address.family] = unusable
      } else {
        links.append(link)
      }
    }
    if links.isEmpty, let unusable { throw .unusable(unusable) }
    guard !links.isEmpty else {
      throw .notOurs(
        node: node.name, wanted: wanted.map(\.description).joined(separator: " and "), addresses: try addressList())
    }
    return (links, problems)
  }

  /// Addresses that count as ours: those of the selected links, else all but the loopback's. The nodes name the
  /// address, so that any of these links will do.
  private func addresses() throws(LocalNodeError) -> [LinkAddress] {
    guard selection.interface.namesLinks else {
      let loopbacks = Set(state.links.filter(\.isLoopback).map(\.index))
      return state.addresses.filter { !loopbacks.contains($0.linkIndex) || !$0.prefix.address.isLoopback }
    }
    let search = InterfaceSearch(
      selection: selection.interface, state: state, clusterNetworks: snapshot.netConf.networks, present: [])
    let links = Set(search.selectedLinks().map(\.index))
    guard !links.isEmpty else {
      throw .noInterface(selection.interface.options, links: state.linkList)
    }
    return state.addresses.filter { links.contains($0.linkIndex) }
  }

  private func addressList() throws(LocalNodeError) -> String {
    NetworkState.list(of: try addresses(), in: state)
  }
}
