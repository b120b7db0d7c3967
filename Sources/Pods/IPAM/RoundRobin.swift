internal import Addresses

/// Consecutive addresses of one range.
struct Stretch: Equatable {
  let range: AddressRange
  let first: IPAddress
  let last: IPAddress
}

extension RangeSet {
  /// The set's addresses in the order in which they are tried: first those after `lastReserved`, then the following
  /// ranges, then the ranges before it, and `lastReserved` itself at the end.
  ///
  /// An address is thus unused as long as possible before it is leased again, while peers may still know its old owner.
  /// A `lastReserved` outside of all ranges counts as none.
  func roundRobin(after lastReserved: IPAddress?) -> [Stretch] {
    guard let lastReserved, let index = ranges.firstIndex(where: { $0.contains(lastReserved) }) else {
      return ranges.map { Stretch(range: $0, first: $0.start, last: $0.end) }
    }
    let range = ranges[index]
    var stretches: [Stretch] = []
    if lastReserved < range.end, let next = lastReserved.advanced(by: 1) {
      stretches.append(Stretch(range: range, first: next, last: range.end))
    }
    for other in ranges[(index + 1)...] + ranges[..<index] {
      stretches.append(Stretch(range: other, first: other.start, last: other.end))
    }
    stretches.append(Stretch(range: range, first: range.start, last: lastReserved))
    return stretches
  }
}
