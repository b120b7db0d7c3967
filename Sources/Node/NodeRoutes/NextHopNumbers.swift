internal import Addresses
internal import Netlink
internal import NodeState

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
  /// Where the routes lead that name them now.
  private var users: [UInt32: IPPrefix] = [:]

  /// - Parameter routes: ours.
  init(_ table: NextHopTable, usedBy routes: [Route]) {
    self.table = table.owned
    isTaken = Array(repeating: false, count: table.owned.count)
    taken = table.takenIDs
    first.reserveCapacity(table.owned.count)
    users.reserveCapacity(routes.count)
    for route in routes { if let id = route.nextHopID { users[id] = route.destination } }
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

  /// The next hop of a gateway: as it is, or on another link than it must be, or a new one. Each is given out once, and
  /// none that another route names: two nodes may share a gateway for a while.
  mutating func take(_ gateway: IPAddress, on linkIndex: Int32, for subnet: IPPrefix) -> Found {
    guard let position = position(gateway, linkIndex, subnet) else {
      return .absent(
        NextHop(id: number(gateway), gateway: gateway, linkIndex: linkIndex, owner: RouteProtocol.helper))
    }
    isTaken[position] = true
    var hop = table[position]
    if hop.linkIndex == linkIndex { return .there(hop) }
    hop.linkIndex = linkIndex
    return .elsewhere(hop)
  }

  private func position(_ gateway: IPAddress, _ linkIndex: Int32, _ subnet: IPPrefix) -> Int? {
    guard let last = first[gateway] else { return nil }
    func isFree(_ position: Int) -> Bool {
      !isTaken[position] && users[table[position].id].map { $0 == subnet } ?? true
    }
    guard let others = others[gateway] else { return isFree(last) ? last : nil }
    let free = ([last] + others).filter(isFree)
    return free.first { users[table[$0].id] == subnet } ?? free.first { table[$0].linkIndex == linkIndex } ?? free.first
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
