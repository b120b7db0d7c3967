internal import Addresses
internal import Netlink
internal import NodeState

/// Finds the next-hop object of each gateway, or makes up a new one.
struct NextHopNumbers {
  /// First of our 2^24 numbers, far from the low ones that the kernel gives out.
  private static let first: UInt32 = 0xCA00_0000

  private let table: [NextHop]
  private var isTaken: [Bool]
  /// Position in the table of each gateway; almost every gateway has only one.
  private var first: [IPAddress: Int] = [:]
  private var others: [IPAddress: [Int]] = [:]
  private var taken: Set<UInt32>
  /// Destination of the route that uses each next hop.
  private var users: [UInt32: IPPrefix] = [:]

  /// - Parameter routes: the helper's routes.
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

  /// State of a gateway's next hop.
  enum Found {
    case there(NextHop)
    case elsewhere(NextHop)
    case absent(NextHop)

    /// Next hop as it should be.
    var hop: NextHop {
      switch self {
      case .there(let hop), .elsewhere(let hop), .absent(let hop): hop
      }
    }
  }

  /// Returns the next hop of a gateway: as it is, on another link than it should be, or new. Each is returned once, and
  /// none that another route uses, since two nodes may share a gateway for a while.
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

  /// Next hops that were not taken.
  var rest: [NextHop] {
    table.indices.filter { !isTaken[$0] }.map { table[$0] }.sorted { $0.id < $1.id }
  }

  /// Free number, the same for a gateway each time unless it is taken: its hash, then the next ones.
  private mutating func number(_ gateway: IPAddress) -> UInt32 {
    var hash = UInt32(truncatingIfNeeded: stableHash(gateway.bytes))
    while true {
      let number = NextHopNumbers.first | (hash & 0x00FF_FFFF)
      if taken.insert(number).inserted { return number }
      hash &+= 1
    }
  }
}
