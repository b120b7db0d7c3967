package import Addresses

/// A set of ranges of one family; a pod gets one address of each set.
package struct RangeSet: Sendable, Hashable, CustomStringConvertible {
  /// The ranges in the order in which they are used: at least one, without overlaps.
  package let ranges: [AddressRange]
  /// The family of all ranges.
  package let family: IPFamily

  /// Checks and combines ranges.
  ///
  /// - Throws: `invalidRanges` if there is no range, if families are mixed, or if ranges overlap.
  package init(_ ranges: [AddressRange]) throws(IPAMError) {
    guard let first = ranges.first else { throw .invalidRanges("empty range set; give it at least one subnet") }
    family = first.subnet.family
    for (index, range) in ranges.enumerated() {
      guard range.subnet.family == family else {
        throw .invalidRanges("mixed address families: \(first) and \(range); give each family a range set of its own")
      }
      if let other = ranges[..<index].first(where: { $0.overlaps(range) }) {
        throw .invalidRanges("subnets \(other) and \(range) overlap")
      }
    }
    self.ranges = ranges
  }

  /// Whether a range of the set contains the address.
  package func contains(_ address: IPAddress) -> Bool { range(of: address) != nil }

  /// Whether the two sets have an address in common.
  package func overlaps(_ other: RangeSet) -> Bool {
    ranges.contains { range in other.ranges.contains { $0.overlaps(range) } }
  }

  /// The range that contains the address; `nil` if there is none.
  func range(of address: IPAddress) -> AddressRange? {
    ranges.first { $0.contains(address) }
  }

  /// The ranges, separated by commas.
  package var description: String { ranges.map { $0.description }.joined(separator: ",") }
}
