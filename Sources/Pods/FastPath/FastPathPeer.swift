package import Addresses
package import Linux

/// What the programs know of a subnet (`struct peer`, Sources/Node/CFastPath/programs/layout.h).
package enum FastPathPeer: Sendable, Equatable {
  /// It is this node's own.
  case thisNode
  case node(link: Int32, nextHop: IPAddress)

  package init?(value: [UInt8]) {
    guard value.count == FastPathPeer.size, let nextHop = FastPathPod.address(value.dropFirst(4)) else { return nil }
    let link = number(value.prefix(4))
    self = link == 0 ? .thisNode : .node(link: link, nextHop: nextHop)
  }

  package var value: [UInt8] {
    switch self {
    case .thisNode: [UInt8](repeating: 0, count: FastPathPeer.size)
    case .node(let link, let nextHop): fourBytes(of: link) + FastPathPod.key(nextHop)
    }
  }

  static let size = 20

  /// `struct subnet`.
  package static func key(_ subnet: IPPrefix) -> [UInt8] {
    let length = subnet.length + (subnet.family == .v4 ? 96 : 0)
    return fourBytes(of: Int32(length)) + FastPathPod.key(subnet.network.address)
  }

  /// The subnet of a key, for people.
  package static func subnet(_ key: [UInt8]) -> String {
    guard key.count == 20, let address = FastPathPod.address(key.dropFirst(4)) else { return "\(key)" }
    return "\(address)/\(number(key.prefix(4)) - (address.family == .v4 ? 96 : 0))"
  }

  /// The map of all nodes' subnets.
  package static func map() throws(SystemError) -> BPFMap? {
    try BPFMap(pinned: PinnedFastPath.path("peers"), keySize: 20, valueSize: size)
  }
}
