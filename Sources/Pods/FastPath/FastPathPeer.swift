package import Addresses
package import Linux

/// The node that a pod subnet belongs to: a value of the map `peers` (`struct peer`,
/// Sources/Node/CFastPath/programs/layout.h).
package enum FastPathPeer: Sendable, Equatable {
  /// The subnet is this node's own.
  case thisNode
  /// The subnet is another node's, reached by this link and next hop.
  case node(link: Int32, nextHop: IPAddress)

  /// Reads a value of the map; `nil` if it has another size.
  package init?(value: [UInt8]) {
    guard value.count == FastPathPeer.size, let nextHop = FastPathPod.address(value.dropFirst(4)) else { return nil }
    let link = number(value.prefix(4))
    self = link == 0 ? .thisNode : .node(link: link, nextHop: nextHop)
  }

  /// The value in the map.
  package var value: [UInt8] {
    switch self {
    case .thisNode: [UInt8](repeating: 0, count: FastPathPeer.size)
    case .node(let link, let nextHop): fourBytes(of: link) + FastPathPod.key(nextHop)
    }
  }

  /// Size of `struct peer` in bytes.
  static let size = 20
  /// Size of `struct subnet` in bytes.
  static let keySize = 20
  /// The length of the prefix of IPv4-mapped addresses, which an IPv4 subnet begins with in the map.
  private static let mappedBits = 96

  /// The key of a subnet in the map (`struct subnet`).
  package static func key(_ subnet: IPPrefix) -> [UInt8] {
    let length = subnet.length + (subnet.family == .v4 ? mappedBits : 0)
    return fourBytes(of: Int32(length)) + FastPathPod.key(subnet.network.address)
  }

  /// The subnet of a key as text for logs; for a key that is not a subnet, its bytes.
  package static func subnet(_ key: [UInt8]) -> String {
    guard key.count == keySize, let address = FastPathPod.address(key.dropFirst(4)) else { return "\(key)" }
    return "\(address)/\(number(key.prefix(4)) - (address.family == .v4 ? Int32(mappedBits) : 0))"
  }

  /// Opens the map of all nodes' subnets; `nil` if this node has no fast path.
  package static func map() throws(SystemError) -> BPFMap? {
    try BPFMap(pinned: PinnedFastPath.path("peers"), keySize: keySize, valueSize: size)
  }
}
