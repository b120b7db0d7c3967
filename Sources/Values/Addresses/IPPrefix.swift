/// An address with a prefix length, such as `10.244.1.7/24`: a network where the host bits are zero.
package struct IPPrefix: Sendable, Hashable {
  package let address: IPAddress
  /// In bits: 0…32 or 0…128.
  package let length: Int

  /// `nil` where the length does not fit the address's family.
  package init?(_ address: IPAddress, length: Int) {
    guard (0...address.family.bitCount).contains(length) else { return nil }
    self.address = address
    self.length = length
  }

  /// A single address: /32 or /128.
  package init(host address: IPAddress) {
    self.address = address
    length = address.family.bitCount
  }

  /// Without the length: networks that begin alike are few.
  package func hash(into hasher: inout Hasher) {
    hasher.combine(address)
  }

  package var family: IPFamily { address.family }

  private var hostMask: UInt128 {
    let hostBits = family.bitCount - length
    return hostBits == 128 ? UInt128.max : (UInt128(1) << UInt128(hostBits)) - 1
  }

  /// The prefix with its host bits cleared.
  package var network: IPPrefix {
    IPPrefix(first, unchecked: length)
  }

  /// For lengths that are known to fit.
  private init(_ address: IPAddress, unchecked length: Int) {
    self.address = address
    self.length = length
  }

  /// Whether no host bit is set.
  package var isNetwork: Bool { address.value & hostMask == 0 }

  /// The first address of the network, all host bits clear.
  package var first: IPAddress { IPAddress(family, unchecked: address.value & ~hostMask) }

  /// The last address of the network, all host bits set: IPv4's broadcast address.
  package var last: IPAddress { IPAddress(family, unchecked: address.value | hostMask) }

  package func contains(_ other: IPAddress) -> Bool {
    other.family == family && other.value | hostMask == last.value
  }

  package func contains(_ other: IPPrefix) -> Bool {
    other.length >= length && contains(other.address)
  }

  package func overlaps(_ other: IPPrefix) -> Bool {
    contains(other.first) || other.contains(first)
  }

  /// 0.0.0.0/0 or ::/0.
  package static func everything(_ family: IPFamily) -> IPPrefix {
    IPPrefix(IPAddress(family, unchecked: 0), unchecked: 0)
  }
}

extension IPPrefix: LosslessStringConvertible {
  /// Reads `address/length`; host bits may be set.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let address = IPAddress(String(parts[0])),
      (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let length = Int(parts[1])
    else { return nil }
    self.init(address, length: length)
  }

  package var description: String { "\(address)/\(length)" }
}
