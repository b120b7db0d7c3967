package import Addresses

/// Finds which of many subnets share addresses with another: of two that do, the older one counts.
package enum SubnetOverlaps {
  /// Those that lose, each with the one that it loses to.
  ///
  /// - Parameters:
  ///   - order: what stands for the subnets, in their order.
  ///   - subnet: what such a number stands for; `nil` for one that doesn't count.
  package static func losers(
    _ order: [Int], _ subnet: (Int) -> IPPrefix?, isOlder: (Int, Int) -> Bool
  ) -> [Int: Int] {
    var losers: [Int: Int] = [:]
    // The one that reaches furthest so far: what begins inside it overlaps it.
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

  /// The order that `losers` wants.
  package static func precedes(_ left: IPPrefix, _ right: IPPrefix) -> Bool {
    (left.address.value, left.length) < (right.address.value, right.length)
  }
}
