package import Addresses

/// Addresses of one subnet that pods may get, both ends included, and the gateway of them all.
package struct AddressRange: Sendable, Hashable, CustomStringConvertible {
  /// Has no host bits; its length is that of the pods' addresses.
  package let subnet: IPPrefix
  package let start: IPAddress
  package let end: IPAddress
  /// Never given to a pod; may lie outside of the range.
  package let gateway: IPAddress

  /// Fills in what is left out as host-local does: gateway and start are the subnet's first usable address, the end is
  /// its last one, which for IPv4 is the one before the broadcast address.
  ///
  /// - Throws: `invalidRanges`, with host-local's words.
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
      // As host-local has it, the start's fault, not the end's.
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

  package func contains(_ address: IPAddress) -> Bool {
    address.family == subnet.family && start <= address && address <= end
  }

  package func overlaps(_ other: AddressRange) -> Bool {
    subnet.family == other.subnet.family && start <= other.end && other.start <= end
  }

  package var description: String { "\(start)-\(end)" }
}
