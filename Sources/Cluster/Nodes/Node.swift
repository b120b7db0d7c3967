package import Addresses
package import JSON
package import NodeState

/// Node of the cluster as its store describes it; each family stands on its own.
package struct Node: Sendable, Equatable {
  /// Unique in the cluster.
  package var name: String
  /// Addresses by which other nodes reach it.
  package var addresses: PerFamily<IPAddress>
  /// Subnets of its pods.
  package var subnets: PerFamily<IPPrefix>
  /// Data that the node's backend publishes (`BackendData`), which the backend alone reads.
  package var backendData = PerFamily<JSONObject>()
  /// Reason why the node gets no route although the store names it, such as another backend than the cluster's.
  package var obstacles: PerFamily<String>

  package init(
    name: String, addresses: PerFamily<IPAddress> = PerFamily(), subnets: PerFamily<IPPrefix> = PerFamily(),
    obstacles: PerFamily<String> = PerFamily()
  ) {
    self.name = name
    self.addresses = addresses
    self.subnets = subnets
    self.obstacles = obstacles
  }

  /// Takes the first address of each family.
  package init(name: String, addresses: [IPAddress]) {
    self.init(name: name, addresses: PerFamily(addresses) { $0.family })
  }

  /// Whether a text can be a node's name: names appear unquoted in logs, metrics and a node's status.
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

  /// Sets the subnet of its family.
  package mutating func setSubnet(_ subnet: IPPrefix) { subnets[subnet.family] = subnet }
}

/// All nodes at one moment, with the network that they share; never a difference.
package struct NodeSnapshot: Sendable, Equatable {
  /// Network and backend of the cluster.
  package var netConf: NetConf
  /// Subnets without an obstacle lie in the network and do not overlap. A node that moves from one subnet to another may
  /// appear twice.
  package var nodes: [Node]
  /// Node that this machine is, if the store knows it; else it is searched among the nodes.
  package var own: Node?
  /// State of the nodes file that this was read from.
  package var mark: NodesFileMark?
  /// MTU of pods if only an earlier lease records it, in bytes.
  package var mtuBytes: Int?

  package init(netConf: NetConf, nodes: [Node], own: Node? = nil, mark: NodesFileMark? = nil) {
    self.netConf = netConf
    self.nodes = nodes
    self.own = own
    self.mark = mark
  }
}

extension NodeSnapshot {
  /// Addresses of all nodes.
  package var addresses: [IPAddress] {
    (nodes + [own].compactMap { $0 }).flatMap { $0.addresses.values }
  }
}

/// Source of the nodes: a file, etcd or Kubernetes.
package protocol NodeStore: Sendable {
  /// Value of `--store`.
  var kind: String { get }
  /// Place that the nodes come from, for messages: "/etc/causeway/nodes.json".
  var source: String { get }

  /// Reads the nodes once.
  func read() async throws -> NodeSnapshot

  /// The nodes now and whenever they change, newest only, until the reader stops.
  ///
  /// A failed read is a failure in the stream and never an empty set: the reader keeps what it knew.
  func updates() -> AsyncStream<Result<NodeSnapshot, any Error>>
}
