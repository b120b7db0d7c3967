/// An Ethernet address of six bytes (IEEE 802 EUI-48).
package struct MACAddress: Sendable, Hashable, LosslessStringConvertible {
  /// The six bytes in the order of transmission.
  package let bytes: [UInt8]

  /// An address from its bytes; `nil` unless there are six.
  package init?(bytes: ArraySlice<UInt8>) {
    guard bytes.count == 6 else { return nil }
    self.bytes = Array(bytes)
  }

  /// Reads six pairs of hexadecimal digits, separated by `:` or by `-`.
  package init?(_ text: String) {
    let separator: Character = text.contains("-") ? "-" : ":"
    let parts = text.split(separator: separator, omittingEmptySubsequences: false)
    let bytes = parts.compactMap { part in
      part.utf8.count == 2 && part.first != "+" && part.first != "-" ? UInt8(part, radix: 16) : nil
    }
    guard parts.count == 6, bytes.count == 6 else { return nil }
    self.bytes = bytes
  }

  /// A random unicast address with the locally-administered bit set.
  package static func random(using generator: inout some RandomNumberGenerator) -> MACAddress {
    MACAddress(localBits: .random(in: .min ... .max, using: &generator))
  }

  /// A unicast address with the locally-administered bit set and the other bits from the low 48 bits of a number.
  package init(localBits: UInt64) {
    bytes = (0..<6).map { index in
      let byte = UInt8(truncatingIfNeeded: localBits >> UInt64(8 * index))
      return index == 0 ? byte & 0xFC | 0x02 : byte
    }
  }

  /// Whether the address names one station: the group bit is clear.
  package var isUnicast: Bool { bytes[0] & 1 == 0 }

  /// Lower-case pairs of digits, separated by colons.
  package var description: String {
    // Not `joined`, as for IP addresses.
    var text = ""
    for byte in bytes { text += (text.isEmpty ? "" : ":") + (byte < 16 ? "0" : "") + String(byte, radix: 16) }
    return text
  }
}
