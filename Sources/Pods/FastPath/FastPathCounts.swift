package import Linux

/// Packets and bytes that the fast path has counted in one direction and for one reason, since its maps were made
/// (`counts`).
package struct FastPathCount: Sendable, Equatable {
  /// Direction of a packet, in the order of `enum direction` (Sources/Node/CFastPath/programs/layout.h).
  package enum Direction: Int, Sendable, CaseIterable {
    case fromPod
    case toPod

    /// The name in JSON and in metrics.
    package var name: String { self == .fromPod ? "from-pod" : "to-pod" }
  }

  /// Reason why a packet was carried or took the ordinary path, in the order of `enum reason`
  /// (Sources/Node/CFastPath/programs/layout.h).
  package enum Reason: Int, Sendable, CaseIterable {
    case carried
    case noPod
    case noPeer
    case `protocol`
    case options
    case hopLimit
    case size
    case handshake
    case new
    case translated
    case refresh

    /// The name in JSON and in metrics.
    package var name: String {
      switch self {
      case .carried: "carried"
      case .noPod: "no-pod"
      case .noPeer: "no-peer"
      case .protocol: "protocol"
      case .options: "options"
      case .hopLimit: "hop-limit"
      case .size: "size"
      case .handshake: "handshake"
      case .new: "new"
      case .translated: "translated"
      case .refresh: "refresh"
      }
    }
  }

  /// The direction that was counted.
  package let direction: Direction
  /// The reason that was counted.
  package let reason: Reason
  /// Packets of all processors.
  package let packets: UInt64
  /// Bytes of these packets, with Ethernet headers.
  package let bytes: UInt64

  /// Size of `struct count` in bytes: two 64-bit numbers.
  static let size = 16
  private static let numberSize = 8

  /// Reads the counts of every direction and reason; `nil` if this node has no fast path.
  ///
  /// - Parameter processors: the number of possible processors. The kernel keeps a value for each
  ///   (BPF_MAP_TYPE_PERCPU_ARRAY).
  package static func all(processors: Int) throws(SystemError) -> [FastPathCount]? {
    guard
      let map = try BPFMap(
        pinned: PinnedFastPath.path("counts"), keySize: 4, valueSize: size, processors: processors)
    else { return nil }
    var counts: [FastPathCount] = []
    for direction in Direction.allCases {
      for reason in Reason.allCases {
        let index = Int32(direction.rawValue * Reason.allCases.count + reason.rawValue)
        let value = try map.value(of: fourBytes(of: index)) ?? []
        var (packets, bytes) = (UInt64(0), UInt64(0))
        for start in stride(from: 0, through: value.count - size, by: size) {
          packets &+= number64(value[start..<start + numberSize])
          bytes &+= number64(value[start + numberSize..<start + size])
        }
        counts.append(FastPathCount(direction: direction, reason: reason, packets: packets, bytes: bytes))
      }
    }
    return counts
  }
}

/// A 64-bit number in the machine's byte order.
private func number64(_ bytes: ArraySlice<UInt8>) -> UInt64 {
  bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
}
