internal import Addresses
internal import Nodes

/// Free subnets of a range.
struct FreeSubnets {
  private let range: SubnetRange
  /// Positions that are taken: disjoint intervals in ascending order.
  private let taken: [ClosedRange<Int>]

  init(_ range: SubnetRange, taken subnets: some Sequence<IPPrefix>) {
    self.range = range
    var merged: [ClosedRange<Int>] = []
    let found = subnets.compactMap { range.positions(overlapping: $0) }
    for positions in found.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, positions.lowerBound <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound...max(last.upperBound, positions.upperBound)
      } else {
        merged.append(positions)
      }
    }
    taken = merged
  }

  /// Number of free subnets.
  var count: Int { range.count - taken.reduce(0) { $0 + $1.count } }

  /// Whether a subnet belongs to the range and is free.
  func contains(_ subnet: IPPrefix) -> Bool {
    guard let position = range.position(subnet) else { return false }
    return !taken.contains { $0.contains(position) }
  }

  /// Free subnet at a position, from 0, among the free ones; `nil` beyond the last.
  subscript(index: Int) -> IPPrefix? {
    var position = index
    for positions in taken where positions.lowerBound <= position {
      let (sum, isTooFar) = position.addingReportingOverflow(positions.count)
      guard !isTooFar else { return nil }
      position = sum
    }
    return range.subnet(position)
  }

  /// A random free subnet, uniformly distributed, so that nodes that choose at the same time seldom choose the same.
  func random(_ generator: inout some RandomNumberGenerator) -> IPPrefix? {
    count > 0 ? self[Int.random(in: 0..<count, using: &generator)] : nil
  }
}
