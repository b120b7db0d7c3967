package import Addresses
internal import CLinux
internal import Glibc
internal import Netlink

/// One expression of a rule: it loads a value into a register, compares a register, or gives a verdict.
package struct RuleExpression: Sendable {
  let name: String
  private let attributes: @Sendable (inout NetlinkRequest) -> Void

  func put(in request: inout NetlinkRequest) { attributes(&request) }

  private init(_ name: String, _ attributes: @escaping @Sendable (inout NetlinkRequest) -> Void) {
    self.name = name
    self.attributes = attributes
  }

  /// The register that expressions load into and compare.
  private static let register = UInt32(NFT_REG_1.rawValue)
  /// The register of the second part of a concatenated key, 16 bytes after the first one.
  private static let secondRegister = UInt32(NFT_REG_2.rawValue)
  private static let verdictRegister = UInt32(NFT_REG_VERDICT.rawValue)

  /// `meta nfproto ipv4` or `meta nfproto ipv6`: matches packets of the family.
  package static func family(_ family: IPFamily) -> [RuleExpression] {
    [meta(UInt32(NFT_META_NFPROTO.rawValue), into: register), isEqual([family.kernelValue])]
  }

  /// Loads the packet's source address.
  package static func sourceAddress(_ family: IPFamily) -> RuleExpression {
    address(at: AddressField.sourceOffset(family), of: family)
  }

  /// Loads the packet's destination address.
  package static func destinationAddress(_ family: IPFamily) -> RuleExpression {
    address(at: AddressField.destinationOffset(family), of: family)
  }

  /// `ip daddr PREFIX` with the match of the family, for tables that see both families.
  package static func isDestined(to prefix: IPPrefix) -> [RuleExpression] {
    family(prefix.family) + destination(isIn: prefix)
  }

  /// `ip daddr PREFIX` without a match of the family, for tables that see one family only.
  package static func destination(isIn prefix: IPPrefix) -> [RuleExpression] {
    [destinationAddress(prefix.family), mask(prefix.mask), isEqual(prefix.first.bytes)]
  }

  /// `ip saddr PREFIX` without a match of the family, for tables that see one family only.
  package static func source(isIn prefix: IPPrefix) -> [RuleExpression] {
    [sourceAddress(prefix.family), mask(prefix.mask), isEqual(prefix.first.bytes)]
  }

  /// `iifname @set`: matches if the set contains the link that the frame came in by.
  package static func inputLink(isIn set: SetName) -> [RuleExpression] {
    [inputLinkName, lookup(set, inverted: false)]
  }

  /// `iifname . ether saddr != @set`: matches if the set does not contain the link and source MAC.
  package static func inputLinkAndSourceMAC(areNotIn set: SetName) -> [RuleExpression] {
    [inputLinkName, sourceMAC, lookup(set, inverted: true)]
  }

  /// `iifname . ip saddr != @set`: matches packets of this family if the set does not contain link and source address.
  package static func inputLinkAndSource(_ family: IPFamily, areNotIn set: SetName) -> [RuleExpression] {
    let source = address(at: AddressField.sourceOffset(family), of: family, into: secondRegister)
    return self.family(family) + [inputLinkName, source, lookup(set, inverted: true)]
  }

  /// `drop`: drops the packet.
  package static let drop = immediate(Int32(NF_DROP))

  /// `accept`: ends this chain's evaluation of the packet.
  package static let accept = immediate(Int32(NF_ACCEPT))

  /// `counter`: counts packets and bytes from zero.
  package static let counter = RuleExpression("counter") { _ in }

  private static let inputLinkName = meta(UInt32(NFT_META_IIFNAME.rawValue), into: register)

  /// Loads the source MAC into the second register, after the 16 bytes of the link's name.
  private static let sourceMAC = payload(
    UInt32(NFT_PAYLOAD_LL_HEADER.rawValue), offset: SourceMACField.offset, length: SourceMACField.length,
    into: secondRegister)

  private static func lookup(_ set: SetName, inverted: Bool) -> RuleExpression {
    RuleExpression("lookup") {
      $0.put(UInt16(NFTA_LOOKUP_SET.rawValue), cString: set.name)
      $0.put(UInt16(NFTA_LOOKUP_SREG.rawValue), bigEndian: register)
      if inverted { $0.put(UInt16(NFTA_LOOKUP_FLAGS.rawValue), bigEndian: UInt32(NFT_LOOKUP_F_INV.rawValue)) }
    }
  }

  /// `vmap @map`: the map's verdict for the loaded value; without an entry the next rule decides.
  package static func verdict(from map: SetName) -> RuleExpression {
    RuleExpression("lookup") {
      $0.put(UInt16(NFTA_LOOKUP_SET.rawValue), cString: map.name)
      $0.put(UInt16(NFTA_LOOKUP_SREG.rawValue), bigEndian: register)
      $0.put(UInt16(NFTA_LOOKUP_DREG.rawValue), bigEndian: verdictRegister)
    }
  }

  /// `return`: continues in the chain that jumped to this one.
  package static let goBack = immediate(Int32(NFT_RETURN.rawValue))

  /// `masquerade fully-random`: replaces the source by the address of the outgoing link, with a random port.
  package static let masquerade = RuleExpression("masq") {
    $0.put(UInt16(NFTA_MASQ_FLAGS.rawValue), bigEndian: UInt32(NF_NAT_RANGE_PROTO_RANDOM_FULLY))
  }

  private static func immediate(_ code: Int32) -> RuleExpression {
    RuleExpression("immediate") {
      $0.put(UInt16(NFTA_IMMEDIATE_DREG.rawValue), bigEndian: verdictRegister)
      $0.nest(UInt16(NFTA_IMMEDIATE_DATA.rawValue)) { $0.put(verdict: code) }
    }
  }

  private static func meta(_ key: UInt32, into destination: UInt32) -> RuleExpression {
    RuleExpression("meta") {
      $0.put(UInt16(NFTA_META_KEY.rawValue), bigEndian: key)
      $0.put(UInt16(NFTA_META_DREG.rawValue), bigEndian: destination)
    }
  }

  private static func address(
    at offset: UInt32, of family: IPFamily, into destination: UInt32 = register
  ) -> RuleExpression {
    payload(
      UInt32(NFT_PAYLOAD_NETWORK_HEADER.rawValue), offset: offset, length: AddressField.length(family),
      into: destination)
  }

  /// Loads bytes of a packet, counted from the start of one of its headers.
  private static func payload(
    _ header: UInt32, offset: UInt32, length: UInt32, into destination: UInt32
  ) -> RuleExpression {
    RuleExpression("payload") {
      $0.put(UInt16(NFTA_PAYLOAD_DREG.rawValue), bigEndian: destination)
      $0.put(UInt16(NFTA_PAYLOAD_BASE.rawValue), bigEndian: header)
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
  /// The network mask in network byte order.
  fileprivate var mask: [UInt8] {
    (0..<family.bitCount / 8).map { index in
      let bits = min(max(length - 8 * index, 0), 8)
      return UInt8(truncatingIfNeeded: 0xFF << (8 - bits))
    }
  }
}
