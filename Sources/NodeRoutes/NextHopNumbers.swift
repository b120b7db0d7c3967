internal import Addresses
internal import Netlink

/// Finds or makes up the next-hop object of each gateway.
struct NextHopNumbers {
  /// Where our numbers lie: far from the low ones that the kernel hands out itself, 2^24 of them.
  private static let first: UInt32 = 0xCA00_0000

  private let table: [NextHop]
  private var isTaken: [Bool]
  /// The positions in the table; for almost every gateway there is one.
  private var first: [IPAddress: Int] = [:]
  private var others: [IPAddress: [Int]] = [:]
  private var taken: Set<UInt32>

  init(_ table: NextHopTable) {
    self.table = table.owned
    isTaken = Array(repeating: false, count: table.owned.count)
    taken = table.takenIDs
    first.reserveCapacity(table.owned.count)
    for (position, hop) in table.owned.enumerated() {
      if let other = first.updateValue(position, forKey: hop.gateway) { others[hop.gateway, default: []].append(other) }
    }
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
    guard let position = position(gateway, linkIndex) else {
      return .absent(
        NextHop(id: number(gateway), gateway: gateway, linkIndex: linkIndex, owner: NetworkState.owner))
    }
    isTaken[position] = true
    var hop = table[position]
    if hop.linkIndex == linkIndex { return .there(hop) }
    hop.linkIndex = linkIndex
    return .elsewhere(hop)
  }

  private func position(_ gateway: IPAddress, _ linkIndex: Int32) -> Int? {
    guard let last = first[gateway] else { return nil }
    guard let others = others[gateway] else { return isTaken[last] ? nil : last }
    let free = ([last] + others).filter { !isTaken[$0] }
    return free.first { table[$0].linkIndex == linkIndex } ?? free.first
  }

  /// Ours that nobody took.
  var rest: [NextHop] {
    table.indices.filter { !isTaken[$0] }.map { table[$0] }.sorted { $0.id < $1.id }
  }

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
