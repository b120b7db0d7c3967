internal import Addresses
internal import Netlink

/// Finds or makes up the next-hop object of each gateway.
struct NextHopNumbers {
  /// Where our numbers lie: far from the low ones that the kernel hands out itself, 2^24 of them.
  private static let first: UInt32 = 0xCA00_0000

  private var byGateway: [IPAddress: [NextHop]]
  private var taken: Set<UInt32>

  init(_ table: NextHopTable) {
    byGateway = [:]
    byGateway.reserveCapacity(table.owned.count)
    for hop in table.owned { byGateway[hop.gateway, default: []].append(hop) }
    taken = table.takenIDs
  }

  /// What a gateway needs.
  enum Found {
    case there(NextHop)
    case elsewhere(NextHop)
    case absent(NextHop)

    /// As it must be.
    var hop: NextHop {
      switch self {
      case .there(let hop), .elsewhere(let hop), .absent(let hop): hop
      }
    }
  }

  /// The next hop of a gateway: as it is, or on another link than it must be, or a new one. Each is given out once.
  mutating func take(_ gateway: IPAddress, on linkIndex: Int32) -> Found {
    var own = byGateway[gateway] ?? []
    if let position = own.firstIndex(where: { $0.linkIndex == linkIndex }) {
      let hop = own.remove(at: position)
      byGateway[gateway] = own
      return .there(hop)
    }
    if var hop = own.popLast() {
      byGateway[gateway] = own
      hop.linkIndex = linkIndex
      return .elsewhere(hop)
    }
    return .absent(
      NextHop(id: number(gateway), gateway: gateway, linkIndex: linkIndex, owner: NetworkState.owner))
  }

  /// Ours that nobody took.
  var rest: [NextHop] { byGateway.values.joined().sorted { $0.id < $1.id } }

  /// A free number, the same for the same gateway wherever that is free: its hash, then the next and the next.
  private mutating func number(_ gateway: IPAddress) -> UInt32 {
    var hash = UInt32(truncatingIfNeeded: stableHash(gateway.bytes))
    while true {
      let number = NextHopNumbers.first | (hash & 0x00FF_FFFF)
      if taken.insert(number).inserted { return number }
      hash &+= 1
    }
  }
}
