package import Addresses

/// Ranges of one family of which a pod gets one address; a pod gets one of each set.
package struct RangeSet: Sendable, Hashable, CustomStringConvertible {
  /// At least one; no two share an address. Addresses are given in this order.
  package let ranges: [AddressRange]
  package let family: IPFamily

  /// - Throws: `invalidRanges` for no range, for ranges of both families, and for ranges that overlap.
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

  package func contains(_ address: IPAddress) -> Bool { range(of: address) != nil }

  /// Whether the two sets share an address.
  package func overlaps(_ other: RangeSet) -> Bool {
    ranges.contains { range in other.ranges.contains { $0.overlaps(range) } }
  }

  /// The range that holds the address.
  func range(of address: IPAddress) -> AddressRange? {
    ranges.first { $0.contains(address) }
  }

  package var description: String { ranges.map(\.description).joined(separator: ",") }
}
