package import Addresses
internal import CLinux
internal import Glibc
internal import Netlink

/// One step of a rule: it loads into register 1, compares what is there, or says what happens.
package struct RuleExpression: Sendable {
  let name: String
  private let attributes: @Sendable (inout NetlinkRequest) -> Void

  func put(in request: inout NetlinkRequest) { attributes(&request) }

  private init(_ name: String, _ attributes: @escaping @Sendable (inout NetlinkRequest) -> Void) {
    self.name = name
    self.attributes = attributes
  }

  /// The register that all steps here use, and the one that a verdict goes to.
  private static let register = UInt32(NFT_REG_1.rawValue)
  private static let verdictRegister = UInt32(NFT_REG_VERDICT.rawValue)

  /// `meta nfproto ipv4` or `ipv6`.
  package static func family(_ family: IPFamily) -> [RuleExpression] {
    [meta(UInt32(NFT_META_NFPROTO.rawValue), into: register), isEqual([family.kernelValue])]
  }

  /// Loads the source address.
  package static func sourceAddress(_ family: IPFamily) -> RuleExpression {
    network(offset: family == .v4 ? 12 : 8, length: family == .v4 ? 4 : 16)
  }

  /// Loads the destination address.
  package static func destinationAddress(_ family: IPFamily) -> RuleExpression {
    network(offset: family == .v4 ? 16 : 24, length: family == .v4 ? 4 : 16)
  }

  /// `ip daddr PREFIX`: the whole match, family included.
  package static func isDestined(to prefix: IPPrefix) -> [RuleExpression] {
    family(prefix.family) + destination(isIn: prefix)
  }

  /// The match without the family, for tables that see one only.
  package static func destination(isIn prefix: IPPrefix) -> [RuleExpression] {
    [destinationAddress(prefix.family), mask(prefix.mask), isEqual(prefix.first.bytes)]
  }

  /// The same for `ip saddr PREFIX`.
  package static func source(isIn prefix: IPPrefix) -> [RuleExpression] {
    [sourceAddress(prefix.family), mask(prefix.mask), isEqual(prefix.first.bytes)]
  }

  /// `iifname @set`: goes on where the link that the frame came in by is in the set.
  package static func inputLink(isIn set: SetName) -> [RuleExpression] {
    [inputLinkName, lookup(set, inverted: false)]
  }

  /// `iifname . ether saddr != @set`: goes on where link and source MAC together are not in the set.
  package static func inputLinkAndSourceMAC(areNotIn set: SetName) -> [RuleExpression] {
    [inputLinkName, sourceMAC, lookup(set, inverted: true)]
  }

  /// `iifname . ip saddr != @set`: goes on where the packet is of this family, and its link and source are not in the set.
  package static func inputLinkAndSource(_ family: IPFamily, areNotIn set: SetName) -> [RuleExpression] {
    self.family(family) + [inputLinkName, secondSourceAddress(family), lookup(set, inverted: true)]
  }

  /// `drop`.
  package static let drop = immediate(Int32(NF_DROP))

  /// `accept`.
  package static let accept = immediate(Int32(NF_ACCEPT))

  /// `counter`, from zero.
  package static let counter = RuleExpression("counter") { _ in }

  private static let inputLinkName = meta(UInt32(NFT_META_IIFNAME.rawValue), into: register)

  /// Behind the 16 bytes of the name, as the key of a set has both.
  private static let sourceMAC = RuleExpression("payload") {
    $0.put(UInt16(NFTA_PAYLOAD_DREG.rawValue), bigEndian: UInt32(NFT_REG_2.rawValue))
    $0.put(UInt16(NFTA_PAYLOAD_BASE.rawValue), bigEndian: UInt32(NFT_PAYLOAD_LL_HEADER.rawValue))
    $0.put(UInt16(NFTA_PAYLOAD_OFFSET.rawValue), bigEndian: UInt32(6))
    $0.put(UInt16(NFTA_PAYLOAD_LEN.rawValue), bigEndian: UInt32(6))
  }

  /// Behind the name, too.
  private static func secondSourceAddress(_ family: IPFamily) -> RuleExpression {
    network(offset: family == .v4 ? 12 : 8, length: family == .v4 ? 4 : 16, into: UInt32(NFT_REG_2.rawValue))
  }

  private static func lookup(_ set: SetName, inverted: Bool) -> RuleExpression {
    RuleExpression("lookup") {
      $0.put(UInt16(NFTA_LOOKUP_SET.rawValue), cString: set.name)
      $0.put(UInt16(NFTA_LOOKUP_SREG.rawValue), bigEndian: register)
      if inverted { $0.put(UInt16(NFTA_LOOKUP_FLAGS.rawValue), bigEndian: UInt32(NFT_LOOKUP_F_INV.rawValue)) }
    }
  }

  /// `vmap @set`: the verdict that the map has for what is loaded; none, and the rule goes on.
  package static func verdict(from map: SetName) -> RuleExpression {
    RuleExpression("lookup") {
      $0.put(UInt16(NFTA_LOOKUP_SET.rawValue), cString: map.name)
      $0.put(UInt16(NFTA_LOOKUP_SREG.rawValue), bigEndian: register)
      $0.put(UInt16(NFTA_LOOKUP_DREG.rawValue), bigEndian: verdictRegister)
    }
  }

  /// `return`: back to the chain that this one was reached from.
  package static let goBack = immediate(Int32(NFT_RETURN.rawValue))

  /// Gives the packet the address of the link that it leaves by, with a random port.
  package static let masquerade = RuleExpression("masq") {
    $0.put(UInt16(NFTA_MASQ_FLAGS.rawValue), bigEndian: UInt32(NF_NAT_RANGE_PROTO_RANDOM_FULLY))
  }

  private static func immediate(_ code: Int32) -> RuleExpression {
    RuleExpression("immediate") {
      $0.put(UInt16(NFTA_IMMEDIATE_DREG.rawValue), bigEndian: verdictRegister)
      $0.nest(UInt16(NFTA_IMMEDIATE_DATA.rawValue)) { $0.verdict(code) }
    }
  }

  private static func meta(_ key: UInt32, into destination: UInt32) -> RuleExpression {
    RuleExpression("meta") {
      $0.put(UInt16(NFTA_META_KEY.rawValue), bigEndian: key)
      $0.put(UInt16(NFTA_META_DREG.rawValue), bigEndian: destination)
    }
  }

  private static func network(
    offset: UInt32, length: UInt32, into destination: UInt32 = register
  ) -> RuleExpression {
    RuleExpression("payload") {
      $0.put(UInt16(NFTA_PAYLOAD_DREG.rawValue), bigEndian: destination)
      $0.put(UInt16(NFTA_PAYLOAD_BASE.rawValue), bigEndian: UInt32(NFT_PAYLOAD_NETWORK_HEADER.rawValue))
      $0.put(UInt16(NFTA_PAYLOAD_OFFSET.rawValue), bigEndian: offset)
      $0.put(UInt16(NFTA_PAYLOAD_LEN.rawValue), bigEndian: length)
    }
  }

  private static func mask(_ mask: [UInt8]) -> RuleExpression {
    RuleExpression("bitwise") {
      $0.put(UInt16(NFTA_BITWISE_SREG.rawValue), bigEndian: register)
      $0.put(UInt16(NFTA_BITWISE_DREG.rawValue), bigEndian: register)
      $0.put(UInt16(NFTA_BITWISE_LEN.rawValue), bigEndian: UInt32(mask.count))
      $0.nest(UInt16(NFTA_BITWISE_MASK.rawValue)) { $0.put(NFTDataAttribute.value, bytes: mask) }
      $0.nest(UInt16(NFTA_BITWISE_XOR.rawValue)) {
        $0.put(NFTDataAttribute.value, bytes: [UInt8](repeating: 0, count: mask.count))
      }
    }
  }

  private static func isEqual(_ value: [UInt8]) -> RuleExpression {
    RuleExpression("cmp") {
      $0.put(UInt16(NFTA_CMP_SREG.rawValue), bigEndian: register)
      $0.put(UInt16(NFTA_CMP_OP.rawValue), bigEndian: UInt32(NFT_CMP_EQ.rawValue))
      $0.nest(UInt16(NFTA_CMP_DATA.rawValue)) { $0.put(NFTDataAttribute.value, bytes: value) }
    }
  }
}

extension IPPrefix {
  /// The prefix's bits set, the host's clear, in network order.
  fileprivate var mask: [UInt8] {
    (0..<family.bitCount / 8).map { index in
      let bits = min(max(length - 8 * index, 0), 8)
      return UInt8(truncatingIfNeeded: 0xFF << (8 - bits))
    }
  }
}
