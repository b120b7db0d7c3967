package import Addresses
package import Netlink
package import Nodes
package import NodeState

/// How a node is told which of the nodes it is.
package struct NodeSelection: Sendable, Equatable {
  /// A name that must be among the nodes (`--node-name`).
  package var name: String?
  /// The host's name, which may be among them.
  package var hostName: String
  /// What its links and addresses must be.
  package var interface: InterfaceSelection

  package init(name: String? = nil, hostName: String, interface: InterfaceSelection = InterfaceSelection()) {
    self.name = name
    self.hostName = hostName
    self.interface = interface
  }
}

/// The node that this machine is.
package struct LocalNode: Sendable, Equatable {
  package let node: Node
  /// The links that hold its public addresses, IPv4's first.
  package let links: [Link]
  /// What is wrong in one family while the other works: its address is not there, or not usable yet. As long as that
  /// is so, the routes of the family stay as they are: the address may be about to come back, and packets go on without.
  package let problems: [IPFamily: String]

  /// The same in the order of the families.
  package var problemList: [String] { problems.sorted { $0.key < $1.key }.map(\.value) }

  /// The families that the node takes part in, of those of the cluster.
  package func families(of network: NetConf) -> [IPFamily] {
    network.families.filter { node.addresses[$0] != nil || node.subnets[$0] != nil }
  }

  /// Takes the node that the store knows as this one, else finds this machine among the nodes: by its given name, a
  /// given address, the host's name, or any address that one of our links holds; in this order.
  package init(_ snapshot: NodeSnapshot, _ selection: NodeSelection, state: NetworkState) throws(LocalNodeError) {
    let search = LocalNodeSearch(snapshot: snapshot, selection: selection, state: state)
    if let own = snapshot.own { node = own } else { node = try search.node() }
    (links, problems) = try search.links(of: node)
    // A store that gives leases may have none to give; who it is and its peers' routes are known all the same.
    guard !node.subnets.isEmpty || snapshot.own != nil else {
      throw .noSubnet(node: node.name)
    }
  }

  /// What this node's pods may use, once the routes are in; `nil` where it has no subnet.
  ///
  /// - Parameter mtuBytes: what pods may send; without it what this node's links carry.
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

/// Why this machine is none of the nodes, or can't be.
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
      "node \(node), this machine, has neither subnet nor ipv6Subnet: add what its pods shall live in"
    }
  }
}
