internal import Addresses
internal import Netlink

/// The steps by which a machine finds itself among the nodes.
struct OwnNodeSearch {
  let snapshot: NodeSnapshot
  let selection: NodeSelection
  let state: NetworkState

  /// The node that this machine is said to be.
  func node() throws(OwnNodeError) -> Node {
    let nodes = snapshot.nodes
    if let name = selection.name {
      guard let node = nodes.first(where: { $0.name == name }) else {
        throw .unknownName(name, known: OwnNodeSearch.list(nodes.map(\.name)))
      }
      return node
    }
    if let address = selection.publicAddresses.first {
      guard let node = nodes.first(where: { $0.address(address.family) == address }) else {
        throw .unknownAddress(address)
      }
      return node
    }
    if let node = nodes.first(where: { $0.name == selection.hostName }) { return node }
    return try nodeByOwnAddress()
  }

  private func nodeByOwnAddress() throws(OwnNodeError) -> Node {
    let own = Set(try addresses().map(\.prefix.address))
    let matching = snapshot.nodes.filter { node in
      IPFamily.allCases.contains { node.address($0).map(own.contains) ?? false }
    }
    guard let first = matching.first else {
      throw .notFound(hostName: selection.hostName, addresses: try addressList())
    }
    if matching.count > 1 { throw .ambiguous(first: first.name, second: matching[1].name) }
    return first
  }

  /// The links that hold the node's public addresses, and what is wrong where only one of two is there.
  func links(of node: Node) throws(OwnNodeError) -> ([Link], String?) {
    for given in selection.publicAddresses where node.address(given.family) != given {
      let found = node.address(given.family).map(\.description) ?? "no \(given.family) address"
      throw .otherAddress(node: node.name, given: given, found: found)
    }
    let wanted = IPFamily.allCases.compactMap { node.address($0) }
    guard !wanted.isEmpty else { throw .noAddress(node: node.name) }
    let own = try addresses()
    var links: [Link] = []
    var lacking: [IPAddress] = []
    for address in wanted {
      if let found = own.first(where: { $0.prefix.address == address }),
        let link = state.link(found.linkIndex)
      {
        links.append(link)
      } else {
        lacking.append(address)
      }
    }
    guard !links.isEmpty else {
      throw .notOurs(
        node: node.name, wanted: lacking.map(\.description).joined(separator: " and "),
        addresses: try addressList())
    }
    let problem = lacking.first.map { "\($0) of node \(node.name), this machine, is on none of its links" }
    return (links, problem)
  }

  /// The addresses that count as ours: those of `--iface` where it was given, else all but the loopback's.
  private func addresses() throws(OwnNodeError) -> [LinkAddress] {
    guard let interface = selection.interface else {
      let loopbacks = Set(state.links.filter(\.isLoopback).map(\.index))
      return state.addresses.filter { !loopbacks.contains($0.linkIndex) || !$0.prefix.address.isLoopback }
    }
    let link =
      IPAddress(interface).flatMap(state.link(holding:)) ?? state.links.first { $0.name == interface }
    guard let link else { throw .noInterface(interface, links: OwnNodeSearch.list(state.links.map(\.name))) }
    return state.addresses.filter { $0.linkIndex == link.index }
  }

  private func addressList() throws(OwnNodeError) -> String {
    let texts = try addresses().filter { !$0.prefix.address.isLinkLocal }.map { address in
      "\(address.prefix.address)" + (state.link(address.linkIndex).map { " on \($0.name)" } ?? "")
    }
    return texts.isEmpty ? "none" : OwnNodeSearch.list(texts)
  }

  /// The first few of many.
  private static func list(_ items: [String]) -> String {
    items.prefix(6).joined(separator: ", ") + (items.count > 6 ? ", …" : "")
  }
}
