internal import Addresses
internal import Nodes

/// Which subnets of a range nobody has.
struct FreeSubnets {
  private let range: SubnetRange
  /// The positions that are taken, in order and apart from each other.
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

  /// How many are free.
  var count: Int { range.count - taken.reduce(0) { $0 + $1.count } }

  /// Whether a subnet is one of the range and free.
  func contains(_ subnet: IPPrefix) -> Bool {
    guard let position = range.position(subnet) else { return false }
    return !taken.contains { $0.contains(position) }
  }

  /// The free one at a position from 0 among the free ones.
  subscript(index: Int) -> IPPrefix? {
    var position = index
    for positions in taken where positions.lowerBound <= position {
      let (sum, isTooFar) = position.addingReportingOverflow(positions.count)
      guard !isTooFar else { return nil }
      position = sum
    }
    return range.subnet(position)
  }

  /// Any of them, each as likely as another: nodes that choose at once seldom choose the same.
  func random(_ generator: inout some RandomNumberGenerator) -> IPPrefix? {
    count > 0 ? self[Int.random(in: 0..<count, using: &generator)] : nil
  }
}
