package import Addresses

/// A range of addresses of one subnet that pods can get, with the gateway of the subnet.
package struct AddressRange: Sendable, Hashable, CustomStringConvertible {
  /// The subnet, without host bits; its length is the prefix length of the pods' addresses.
  package let subnet: IPPrefix
  /// The first address of the range.
  package let start: IPAddress
  /// The last address of the range, included.
  package let end: IPAddress
  /// The gateway, which is never leased; it may be outside of the range.
  package let gateway: IPAddress

  /// Fills in missing values as host-local does: gateway and start are the subnet's first usable address, the end is
  /// its last one. For IPv4 that is the address before the broadcast address.
  ///
  /// - Throws: `invalidRanges`, with host-local's texts.
  package init(
    subnet: IPPrefix, start: IPAddress? = nil, end: IPAddress? = nil, gateway: IPAddress? = nil
  ) throws(IPAMError) {
    guard subnet.length <= subnet.family.bitCount - 2, let first = subnet.first.advanced(by: 1),
      let last = subnet.family == .v4 ? subnet.last.advanced(by: -1) : subnet.last
    else {
      throw .invalidRanges(
        "Network \(subnet) too small to allocate from; its prefix length may be at most \(subnet.family.bitCount - 2)")
    }
    guard subnet.isNetwork else {
      throw .invalidRanges(
        "Network has host bits set. For a subnet mask of length \(subnet.length) the network address is \(subnet.first)"
      )
    }
    if let gateway, gateway.family != subnet.family {
      throw .invalidRanges("Gateway \(gateway) must be an \(subnet.family) address, as network \(subnet) is")
    }
    if let start {
      guard subnet.contains(start) else { throw .invalidRanges("RangeStart \(start) not in network \(subnet)") }
      // host-local reports this as an error of the start, not of the end.
      if let end, start > end {
        throw .invalidRanges("RangeStart \(start) not in network \(subnet): it lies beyond RangeEnd \(end)")
      }
    }
    self.start = start ?? first
    if let end, !subnet.contains(end) || end < self.start {
      throw .invalidRanges("RangeEnd \(end) not in network \(subnet)")
    }
    self.end = end ?? last
    guard self.start <= self.end else {
      throw .invalidRanges("RangeStart \(self.start) not in network \(subnet): no pod may have its broadcast address")
    }
    self.subnet = subnet
    self.gateway = gateway ?? first
  }

  /// Whether the address is in the range.
  package func contains(_ address: IPAddress) -> Bool {
    address.family == subnet.family && start <= address && address <= end
  }

  /// Whether the two ranges have an address in common.
  package func overlaps(_ other: AddressRange) -> Bool {
    subnet.family == other.subnet.family && start <= other.end && other.start <= end
  }

  /// The range as host-local writes it: `10.1.0.1-10.1.0.9`.
  package var description: String { "\(start)-\(end)" }
}
