package import Linux

/// How many packets the fast path has carried and how many it has passed on, in one direction and for one reason, since
/// its maps were made.
package struct FastPathCount: Sendable, Equatable {
  package enum Direction: Int, Sendable, CaseIterable {
    case fromPod
    case toPod

    /// The word for it, the same in every output.
    package var name: String { self == .fromPod ? "from-pod" : "to-pod" }
  }

  /// In the order of `enum reason` (Sources/Node/CFastPath/programs/layout.h).
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

    /// The word for it, the same in every output.
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

  package let direction: Direction
  package let reason: Reason
  package let packets: UInt64
  package let bytes: UInt64

  /// `struct count`.
  static let size = 16

  /// All of them, `nil` where this node has no fast path.
  ///
  /// - Parameter processors: how many the kernel may ever have; it counts for each apart.
  package static func all(processors: Int) throws(SystemError) -> [FastPathCount]? {
    guard
      let map = try BPFMap(
        pinned: PinnedFastPath.path("counts"), keySize: 4, valueSize: size, processors: processors)
    else { return nil }
    var counts: [FastPathCount] = []
    for direction in Direction.allCases {
      for reason in Reason.allCases {
        let place = Int32(direction.rawValue * Reason.allCases.count + reason.rawValue)
        let value = try map.value(of: fourBytes(of: place)) ?? []
        var (packets, bytes) = (UInt64(0), UInt64(0))
        for start in stride(from: 0, to: value.count - 15, by: 16) {
          packets &+= number64(value[start..<start + 8])
          bytes &+= number64(value[start + 8..<start + 16])
        }
        counts.append(FastPathCount(direction: direction, reason: reason, packets: packets, bytes: bytes))
      }
    }
    return counts
  }
}

private func number64(_ bytes: ArraySlice<UInt8>) -> UInt64 {
  bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
}
