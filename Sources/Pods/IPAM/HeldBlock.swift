internal import Addresses

/// A bitmap of the held addresses among 32,768 consecutive ones, lowest address and lowest bit first.
struct HeldBlock: Equatable {
  /// The addresses that a block covers: their family and common bits.
  struct Number: Equatable, CustomStringConvertible {
    let family: IPFamily
    fileprivate let value: UInt128

    init(of address: IPAddress) {
      family = address.family
      value = address.value >> UInt128(HeldBlock.addressBits)
    }

    /// The name of the block's file: the family and the addresses' common bits.
    var description: String { "\(family)-\(String(value, radix: 16))" }

    /// The last address of the block.
    var last: IPAddress? {
      IPAddress(family: family, value: value << UInt128(HeldBlock.addressBits) | HeldBlock.addressMask)
    }
  }

  /// The low bits of an address that number it within its block.
  private static let addressBits = 15
  private static let addressMask: UInt128 = (1 << UInt128(addressBits)) - 1
  /// The size of a block's file: one bit for each address.
  static let sizeBytes = (1 << addressBits) / 8
  private var bits: [UInt8]

  /// `nil` if the content does not have the size of a block.
  init?(bits: [UInt8]) {
    guard bits.count == HeldBlock.sizeBytes else { return nil }
    self.bits = bits
  }

  /// A block in which all addresses are free.
  init() {
    bits = [UInt8](repeating: 0, count: HeldBlock.sizeBytes)
  }

  var content: [UInt8] { bits }

  private static func position(of address: IPAddress) -> (byte: Int, mask: UInt8) {
    let index = Int(truncatingIfNeeded: address.value & addressMask)
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

  /// Adds the held addresses of another block of the same number.
  mutating func formUnion(_ other: HeldBlock) {
    for index in bits.indices { bits[index] |= other.bits[index] }
  }

  /// The first free address from `first` to `last`, which must both be in this block.
  func firstFree(from first: IPAddress, through last: IPAddress) -> IPAddress? {
    var candidate = first
    while candidate <= last {
      // A byte of eight held addresses is skipped at once.
      let skip: Int128 = bits[HeldBlock.position(of: candidate).byte] == 0xFF ? 8 - Int128(candidate.value & 7) : 1
      if skip == 1, !self[candidate] { return candidate }
      guard let next = candidate.advanced(by: skip) else { return nil }
      candidate = next
    }
    return nil
  }
}
