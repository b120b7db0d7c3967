internal import Addresses

/// Which of 32,768 neighbouring addresses are held: one bit for each, lowest address and lowest bit first.
struct HeldBlock: Equatable {
  /// Which addresses a block tells of.
  struct Number: Equatable, CustomStringConvertible {
    let family: IPFamily
    fileprivate let value: UInt128

    init(of address: IPAddress) {
      family = address.family
      value = address.value >> 15
    }

    /// A name for a file: the family and the addresses' common bits.
    var description: String { "\(family)-\(String(value, radix: 16))" }

    /// The last address of the block.
    var last: IPAddress? { IPAddress(family: family, value: value << 15 | 0x7FFF) }
  }

  static let sizeBytes = 4096
  private var bits: [UInt8]

  /// `nil` where the content is not that of a block.
  init?(bits: [UInt8]) {
    guard bits.count == HeldBlock.sizeBytes else { return nil }
    self.bits = bits
  }

  /// All free.
  init() {
    bits = [UInt8](repeating: 0, count: HeldBlock.sizeBytes)
  }

  var content: [UInt8] { bits }

  private static func position(of address: IPAddress) -> (byte: Int, mask: UInt8) {
    let index = Int(truncatingIfNeeded: address.value & 0x7FFF)
    return (index >> 3, 1 << UInt8(index & 7))
  }

  subscript(address: IPAddress) -> Bool {
    get {
      let position = HeldBlock.position(of: address)
      return bits[position.byte] & position.mask != 0
    }
    set {
      let position = HeldBlock.position(of: address)
      if newValue { bits[position.byte] |= position.mask } else { bits[position.byte] &= ~position.mask }
    }
  }

  /// Adds what another block of the same number knows.
  mutating func formUnion(_ other: HeldBlock) {
    for index in bits.indices { bits[index] |= other.bits[index] }
  }

  /// The first free address from `first` on and up to `last`, both of this block.
  func firstFree(from first: IPAddress, through last: IPAddress) -> IPAddress? {
    var candidate = first
    while candidate <= last {
      // Eight held ones are passed over at once.
      let skip: Int128 = bits[HeldBlock.position(of: candidate).byte] == 0xFF ? 8 - Int128(candidate.value & 7) : 1
      if skip == 1, !self[candidate] { return candidate }
      guard let next = candidate.advanced(by: skip) else { return nil }
      candidate = next
    }
    return nil
  }
}
