package import Addresses
package import NodeState

/// A node of the cluster as a store tells it; each family stands on its own.
package struct Node: Sendable, Equatable {
  /// Unique in the cluster.
  package var name: String
  /// Where other nodes reach it.
  package var publicIP: IPAddress?
  package var publicIPv6: IPAddress?
  /// What its pods live in.
  package var subnet: IPPrefix?
  package var ipv6Subnet: IPPrefix?
  /// The address of its tunnel device of each family, where it has one.
  package var vtepMAC: MACAddress?
  package var ipv6VTEPMAC: MACAddress?
  /// Why the node gets no route though the store names it, such as another backend than ours: it is passed over.
  package var obstacle: String?
  package var ipv6Obstacle: String?

  package init(
    name: String, publicIP: IPAddress? = nil, publicIPv6: IPAddress? = nil, subnet: IPPrefix? = nil,
    ipv6Subnet: IPPrefix? = nil, obstacle: String? = nil
  ) {
    self.name = name
    self.publicIP = publicIP
    self.publicIPv6 = publicIPv6
    self.subnet = subnet
    self.ipv6Subnet = ipv6Subnet
    self.obstacle = obstacle
  }

  /// A node that is known by its addresses only.
  package init(name: String, addresses: [IPAddress]) {
    self.init(
      name: name, publicIP: addresses.first { $0.family == .v4 }, publicIPv6: addresses.first { $0.family == .v6 })
  }

  /// Whether a node can be called this: names stand in logs, metrics and a node's status as they are.
  package static func isName(_ text: String) -> Bool {
    let allowed = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    return allowed && (1...253).contains(text.utf8.count)
  }

  /// The node's address of a family.
  package func address(_ family: IPFamily) -> IPAddress? {
    switch family {
    case .v4: publicIP
    case .v6: publicIPv6
    }
  }

  /// The node's subnet of a family.
  package func subnet(_ family: IPFamily) -> IPPrefix? {
    switch family {
    case .v4: subnet
    case .v6: ipv6Subnet
    }
  }

  /// Why the node is passed over in a family.
  package func obstacle(_ family: IPFamily) -> String? {
    switch family {
    case .v4: obstacle
    case .v6: ipv6Obstacle
    }
  }

  /// The address of its tunnel device of a family.
  package func vtepMAC(_ family: IPFamily) -> MACAddress? {
    switch family {
    case .v4: vtepMAC
    case .v6: ipv6VTEPMAC
    }
  }

  /// Sets the address of its tunnel device of a family.
  package mutating func setVTEPMAC(_ mac: MACAddress?, _ family: IPFamily) {
    switch family {
    case .v4: vtepMAC = mac
    case .v6: ipv6VTEPMAC = mac
    }
  }

  /// Sets what the node has in the subnet's family.
  package mutating func setSubnet(_ subnet: IPPrefix, obstacle: String? = nil) {
    switch subnet.family {
    case .v4: (self.subnet, self.obstacle) = (subnet, obstacle)
    case .v6: (ipv6Subnet, ipv6Obstacle) = (subnet, obstacle)
    }
  }
}

/// All nodes at one moment, with the network that they share: always the whole, never a difference.
package struct NodeSnapshot: Sendable, Equatable {
  package var netConf: NetConf
  /// Subnets lie in the network and apart from each other, but for those with an obstacle. A node that moves from one
  /// subnet to another may be there twice.
  package var nodes: [Node]
  /// This node, where the store knows it; else it is searched among the nodes.
  package var own: Node?
  /// Which state of the nodes file this is, where it came from one.
  package var mark: NodesFileMark?
  /// What pods may send in one packet, where nothing but an earlier lease tells it; in bytes.
  package var mtuBytes: Int?

  package init(netConf: NetConf, nodes: [Node], own: Node? = nil, mark: NodesFileMark? = nil) {
    self.netConf = netConf
    self.nodes = nodes
    self.own = own
    self.mark = mark
  }
}

extension NodeSnapshot {
  /// The nodes' own addresses.
  package var addresses: [IPAddress] {
    (nodes + [own].compactMap { $0 }).flatMap { node in IPFamily.allCases.compactMap(node.address) }
  }
}

/// A way to learn the nodes: a file, etcd, Kubernetes.
package protocol NodeStore: Sendable {
  /// What `--store` calls it.
  var kind: String { get }
  /// Where the nodes come from, for people: "/etc/causeway/nodes.json".
  var source: String { get }

  /// Reads the nodes once.
  func read() async throws -> NodeSnapshot

  /// The nodes now and whenever they change, newest only, until the reader stops.
  ///
  /// A failed read is a failure in the stream and never an empty set: the reader keeps what it knew.
  func updates() -> AsyncStream<Result<NodeSnapshot, any Error>>
}
