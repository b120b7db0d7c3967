/// An address family of the Internet Protocol.
package enum IPFamily: Sendable, Hashable, CaseIterable, Comparable, CustomStringConvertible {
  case v4
  case v6

  /// The number of bits of an address: 32 or 128.
  package var bitCount: Int {
    switch self {
    case .v4: 32
    case .v6: 128
    }
  }

  /// The family's name: `IPv4` or `IPv6`.
  package var description: String {
    switch self {
    case .v4: "IPv4"
    case .v6: "IPv6"
    }
  }
}

/// An IPv4 or IPv6 address, ordered by family and then by value.
package struct IPAddress: Sendable, Hashable, Comparable {
  /// The address family.
  package let family: IPFamily
  /// The address as a number; an IPv4 address is in the low 32 bits.
  package let value: UInt128

  /// An address from its number; `nil` if `value` does not fit the family.
  package init?(family: IPFamily, value: UInt128) {
    guard family == .v6 || value <= UInt128(UInt32.max) else { return nil }
    self.family = family
    self.value = value
  }

  /// An address from a number that is known to fit the family.
  init(_ family: IPFamily, unchecked value: UInt128) {
    self.family = family
    self.value = value
  }

  /// An IPv4 address from its number.
  package init(v4 value: UInt32) {
    family = .v4
    self.value = UInt128(value)
  }

  /// An IPv6 address from its number.
  package init(v6 value: UInt128) {
    family = .v6
    self.value = value
  }

  /// An address from bytes in network byte order; `nil` unless there are 4 or 16.
  package init?(bytes: some Collection<UInt8>) {
    switch bytes.count {
    case 4: family = .v4
    case 16: family = .v6
    default: return nil
    }
    value = bytes.reduce(0) { $0 << 8 | UInt128($1) }
  }

  /// The address as 4 or 16 bytes in network byte order.
  package var bytes: [UInt8] {
    stride(from: family.bitCount - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: value >> UInt128($0))
    }
  }

  /// The address `count` after this one; `nil` beyond the family's last or first address.
  package func advanced(by count: Int128) -> IPAddress? {
    let (sum, overflow) =
      count >= 0
      ? value.addingReportingOverflow(count.magnitude) : value.subtractingReportingOverflow(count.magnitude)
    return overflow ? nil : IPAddress(family: family, value: sum)
  }

  /// Hashes the value without the family: few addresses collide, and tables of thousands of routes are faster.
  package func hash(into hasher: inout Hasher) {
    hasher.combine(UInt64(truncatingIfNeeded: value))
    if family == .v6 { hasher.combine(UInt64(truncatingIfNeeded: value >> 64)) }
  }

  /// Orders addresses by family, then by value.
  package static func < (left: IPAddress, right: IPAddress) -> Bool {
    (left.family, left.value) < (right.family, right.value)
  }

  /// Whether the address is in 127.0.0.0/8 or is ::1.
  package var isLoopback: Bool {
    family == .v4 ? value >> 24 == 127 : value == 1
  }

  /// Whether the address is in 224.0.0.0/4 or ff00::/8.
  package var isMulticast: Bool {
    family == .v4 ? value >> 28 == 0xE : value >> 120 == 0xFF
  }

  /// Whether the address is in 169.254.0.0/16 or fe80::/10.
  package var isLinkLocal: Bool {
    family == .v4 ? value >> 16 == 0xA9FE : value >> 118 == 0x3FA
  }

  /// Whether the address is 0.0.0.0 or ::.
  package var isUnspecified: Bool { value == 0 }

  /// Whether other nodes can reach a node by this address: no loopback, multicast or unspecified address, and no
  /// link-local one of IPv6, which is nothing without its link.
  package var isNodeAddress: Bool {
    !isLoopback && !isMulticast && !isUnspecified && (family == .v4 || !isLinkLocal)
  }
}
