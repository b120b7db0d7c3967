package import Addresses

/// Subnets of one family that nodes may be given: all of one length, from the first to the last.
package struct SubnetRange: Sendable, Equatable {
  /// First subnet of the range.
  package let first: IPPrefix
  /// Last subnet of the range.
  package let last: IPPrefix

  /// Prefix length of each subnet, in bits.
  package var length: Int { first.length }

  /// Number of subnets, at most `Int.max`.
  package var count: Int {
    let size = UInt128(1) << UInt128(first.family.bitCount - length)
    let count = (last.address.value - first.address.value) / size
    return Int(clamping: count) == .max ? .max : Int(clamping: count) + 1
  }

  /// Returns the subnet at a position from 0; `nil` beyond the last one.
  package func subnet(_ position: Int) -> IPPrefix? {
    guard position >= 0, position < count else { return nil }
    let offset = Int128(position) << Int128(first.family.bitCount - length)
    return first.address.advanced(by: offset).flatMap { IPPrefix($0, length: length) }
  }

  /// Returns the position of a subnet; `nil` if it is not in the range.
  package func position(_ subnet: IPPrefix) -> Int? {
    guard contains(subnet) else { return nil }
    let size = UInt128(1) << UInt128(first.family.bitCount - length)
    return SubnetRange.position((subnet.address.value - first.address.value) / size)
  }

  /// Returns the positions of the subnets that overlap a network; `nil` if none does.
  package func positions(overlapping network: IPPrefix) -> ClosedRange<Int>? {
    guard network.family == first.family, network.last >= first.address, network.first <= last.last else { return nil }
    let size = UInt128(1) << UInt128(first.family.bitCount - length)
    let start = network.first <= first.address ? 0 : (network.first.value - first.address.value) / size
    let end = (min(network.last, last.last).value - first.address.value) / size
    return SubnetRange.position(start)...SubnetRange.position(end)
  }

  /// Converts to a position that `count` can count; all beyond stand for the last one.
  private static func position(_ value: UInt128) -> Int { min(Int(clamping: value), .max - 1) }

  /// Whether a subnet is in the range.
  package func contains(_ subnet: IPPrefix) -> Bool {
    subnet.family == first.family && subnet.length == length && subnet.isNetwork && subnet.address >= first.address
      && subnet.address <= last.address
  }
}
