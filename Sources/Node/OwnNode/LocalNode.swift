package import Addresses
package import Netlink
package import Nodes
package import NodeState

/// Selectors of the node that this machine is.
package struct NodeSelection: Sendable, Equatable {
  /// Name that must be among the nodes (`--node-name`).
  package var name: String?
  /// Host name, which may be among the nodes.
  package var hostName: String
  /// Selectors of its links and addresses.
  package var interface: InterfaceSelection

  package init(name: String? = nil, hostName: String, interface: InterfaceSelection = InterfaceSelection()) {
    self.name = name
    self.hostName = hostName
    self.interface = interface
  }
}

/// Node that this machine is.
package struct LocalNode: Sendable, Equatable {
  /// Node that this machine is.
  package let node: Node
  /// Links that hold its public addresses, IPv4's first.
  package let links: [Link]
  /// Problems of a family whose address is absent or not usable yet, while the other family works. The routes of such a
  /// family stay as they are, because the address may come back.
  package let problems: [IPFamily: String]

  /// Problems in the order of the families.
  package var problemList: [String] { problems.sorted { $0.key < $1.key }.map(\.value) }

  /// Families of the cluster in which the node has an address or a subnet.
  package func families(of network: NetConf) -> [IPFamily] {
    network.families.filter { node.addresses[$0] != nil || node.subnets[$0] != nil }
  }

  /// Takes the node that the store knows as this one, else finds this machine among the nodes: by its given name, a
  /// given address, the host's name, or any address that one of our links holds; in this order.
  package init(_ snapshot: NodeSnapshot, _ selection: NodeSelection, state: NetworkState) throws(LocalNodeError) {
    let search = LocalNodeSearch(snapshot: snapshot, selection: selection, state: state)
    if let own = snapshot.own { node = own } else { node = try search.node() }
    (links, problems) = try search.links(of: node)
    // A store that gives leases may have none to give, while the node and its peers' routes are known.
    guard !node.subnets.isEmpty || snapshot.own != nil else {
      throw .noSubnet(node: node.name)
    }
  }

  /// Lease of this node's pods, which is published after the routes; `nil` if the node has no subnet.
  ///
  /// - Parameter mtuBytes: MTU of pods; without it the smallest of this node's links.
  package func lease(networks: [IPPrefix], masquerades: Bool, mtuBytes: Int? = nil) -> SubnetLease? {
    guard !node.subnets.isEmpty else { return nil }
    let subnets = networks.compactMap { network in
      node.subnets[network.family].flatMap { subnet in
        subnet.address.advanced(by: 1).flatMap { IPPrefix($0, length: subnet.length) }
      }
    }
    return SubnetLease(
      networks: networks.filter { node.subnets[$0.family] != nil }, subnets: subnets,
      mtuBytes: mtuBytes ?? links.map(\.mtuBytes).min() ?? 1500, masquerades: masquerades)
  }
}

/// Reason why this machine is none of the nodes, or cannot be.
package enum LocalNodeError: Error, Sendable, Equatable, CustomStringConvertible {
  case unknownName(String, known: String)
  case unknownAddress(IPAddress)
  case notFound(hostName: String, addresses: String)
  case ambiguous(first: String, second: String)
  case otherAddress(node: String, given: IPAddress, found: String)
  case noInterface(String, links: String)
  case noAddress(node: String)
  case notOurs(node: String, wanted: String, addresses: String)
  case unusable(String)
  case noSubnet(node: String)

  package var description: String {
    switch self {
    case .unknownName(let name, let known):
      "no node is named \(name) (there are \(known)): correct --node-name, or add the node"
    case .unknownAddress(let address):
      "no node has the address \(address): correct --public-\(address.family == .v4 ? "ip" : "ipv6"), or add the node"
    case .notFound(let hostName, let addresses):
      "this machine is none of the nodes: none is named \(hostName), its host name, and none has one of its addresses "
        + "(\(addresses)): add it to the nodes, or say which it is with --node-name"
    case .ambiguous(let first, let second):
      "both node \(first) and node \(second) have an address of this machine: say which it is with --node-name"
    case .otherAddress(let node, let given, let found):
      "--public-\(given.family == .v4 ? "ip" : "ipv6") is \(given), but node \(node) has \(found): correct one of them"
    case .noInterface(let interface, let links):
      "no link is what \(interface) asks for (there are \(links)): correct it"
    case .noAddress(let node):
      "node \(node), this machine, has neither publicIP nor publicIPv6: add the address by which other nodes reach it"
    case .notOurs(let node, let wanted, let addresses):
      "node \(node), this machine, must have \(wanted), but its addresses are \(addresses): correct the node's "
        + "publicIP or publicIPv6, or say which node this is with --node-name"
    case .unusable(let problem): problem
    case .noSubnet(let node):
      "node \(node), this machine, has neither subnet nor ipv6Subnet: add the subnet for its pods"
    }
  }
}
