package import Addresses

/// Finds subnets that overlap; of two that do, the older one wins.
package enum SubnetOverlaps {
  /// Returns the losers, each with its winner.
  ///
  /// - Parameters:
  ///   - order: what stands for the subnets, in their order.
  ///   - subnet: what such a number stands for; `nil` for one that doesn't count.
  package static func losers(
    _ order: [Int], _ subnet: (Int) -> IPPrefix?, isOlder: (Int, Int) -> Bool
  ) -> [Int: Int] {
    var losers: [Int: Int] = [:]
    // The subnet that reaches furthest so far; a subnet that begins inside it overlaps it.
    var reaching: Int?
    for position in order {
      guard let present = subnet(position) else { continue }
      guard let other = reaching, let wider = subnet(other), wider.overlaps(present) else {
        reaching = position
        continue
      }
      let wins = isOlder(position, other)
      losers[wins ? other : position] = wins ? position : other
      if present.last > wider.last || wins { reaching = position }
    }
    return losers
  }

  /// Order of subnets that `losers` needs.
  package static func precedes(_ left: IPPrefix, _ right: IPPrefix) -> Bool {
    (left.address.value, left.length) < (right.address.value, right.length)
  }
}
