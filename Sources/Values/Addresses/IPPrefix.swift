/// An address with a prefix length, such as `10.244.1.7/24`; a network if its host bits are zero.
package struct IPPrefix: Sendable, Hashable {
  /// The address, which may have host bits.
  package let address: IPAddress
  /// The prefix length in bits: 0…32 or 0…128.
  package let length: Int

  /// A prefix from its parts; `nil` if the length does not fit the address's family.
  package init?(_ address: IPAddress, length: Int) {
    guard (0...address.family.bitCount).contains(length) else { return nil }
    self.address = address
    self.length = length
  }

  /// The prefix of a single address: /32 or /128.
  package init(host address: IPAddress) {
    self.address = address
    length = address.family.bitCount
  }

  /// Hashes the address without the length: few networks have the same first address.
  package func hash(into hasher: inout Hasher) {
    hasher.combine(address)
  }

  /// The address family.
  package var family: IPFamily { address.family }

  private var hostMask: UInt128 {
    let hostBits = family.bitCount - length
    return hostBits == 128 ? UInt128.max : (UInt128(1) << UInt128(hostBits)) - 1
  }

  /// The prefix with its host bits cleared.
  package var network: IPPrefix {
    IPPrefix(first, unchecked: length)
  }

  /// A prefix with a length that is known to fit the family.
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

  /// Whether the network contains the address.
  package func contains(_ other: IPAddress) -> Bool {
    other.family == family && other.value | hostMask == last.value
  }

  /// Whether the network contains all addresses of the other one.
  package func contains(_ other: IPPrefix) -> Bool {
    other.length >= length && contains(other.address)
  }

  /// Whether the two networks have an address in common.
  package func overlaps(_ other: IPPrefix) -> Bool {
    contains(other.first) || other.contains(first)
  }

  /// The network of all addresses: 0.0.0.0/0 or ::/0.
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

  /// The address and the length, such as `10.244.1.7/24`.
  package var description: String { "\(address)/\(length)" }
}
