package import Addresses
internal import CLinux
internal import Glibc
internal import Netlink

/// A rule with its effect on forwarded packets, as far as it depends on addresses alone.
package struct FilterRule: Sendable, Equatable {
  /// The packets that a rule decides on.
  package enum Match: Sendable, Hashable {
    case everything
    case source(IPPrefix)
    case destination(IPPrefix)
    /// Some packets, by another condition: a link, a connection state, a port.
    case some
  }

  /// Action of a rule on the packets that it matches.
  package enum Verdict: Sendable, Equatable {
    case accept
    /// Drops the packet, or rejects it with an answer to the sender.
    case drop
    /// Continues in another chain of the table, then with the rule after this one.
    case jump(String)
    /// Continues in another chain of the table, then with the rule after the one that led to this chain.
    case goto(String)
    case `return`
    /// Leaves the decision to the next rule.
    case none
  }

  /// The rule itself.
  package let rule: NetfilterRule
  /// The family of the packets that the rule can match; `nil` for both.
  package let family: IPFamily?
  /// The packets that the rule decides on.
  package let match: Match
  /// Action of the rule on these packets.
  package let verdict: Verdict

  init(_ attributes: Attributes, in table: TableName) throws(NetlinkError) {
    rule = try NetfilterRule(attributes, in: table)
    var reader = FilterRuleReader()
    for entry in try attributes.nest(NFTAttribute.ruleExpressions)?.list(NFTAttribute.listEntry) ?? [] {
      let expression = try Attributes(entry)
      try reader.read(
        expression.string(NFTAttribute.expressionName) ?? "", expression.nest(NFTAttribute.expressionData))
    }
    family = reader.family
    match = reader.match
    verdict = reader.verdict
  }
}

/// Reads a rule's expressions in the order in which the kernel evaluates them.
private struct FilterRuleReader {
  var family: IPFamily?
  var match = FilterRule.Match.everything
  var verdict = FilterRule.Verdict.none
  private var loaded: Loaded?

  /// The value in the register that the next comparison reads.
  private enum Loaded {
    case family
    case address(IPFamily, isSource: Bool, mask: [UInt8])
  }

  mutating func read(_ name: String, _ data: Attributes?) throws(NetlinkError) {
    if ["counter", "log", "notrack"].contains(name) { return }
    guard let data else { return narrow() }
    switch name {
    case "meta": load(data.number(NFTA_META_KEY.rawValue) == NFT_META_NFPROTO.rawValue ? .family : nil)
    case "payload": load(address(data))
    case "bitwise": try mask(data)
    case "cmp": try compare(data)
    case "immediate": try decide(data)
    case "reject": verdict = .drop
    // Extensions of xtables, which `iptables` uses in its rules.
    case "match": if data.string(NFTExpressionAttribute.matchName) != "comment" { narrow() }
    case "target": if ["REJECT", "DROP"].contains(data.string(UInt16(NFTA_TARGET_NAME.rawValue))) { verdict = .drop }
    default: narrow()
    }
  }

  private mutating func narrow() { match = .some }

  private mutating func load(_ value: Loaded?) {
    loaded = value
    if value == nil { narrow() }
  }

  /// The source or destination address that a payload expression loads, or its first bytes: for a prefix of whole bytes
  /// `nft` loads only these.
  private func address(_ data: Attributes) -> Loaded? {
    guard data.number(NFTA_PAYLOAD_BASE.rawValue) == NFT_PAYLOAD_NETWORK_HEADER.rawValue,
      let length = data.number(NFTA_PAYLOAD_LEN.rawValue)
    else { return nil }
    for family in IPFamily.allCases where length <= AddressField.length(family) {
      let mask = [UInt8](repeating: 0xFF, count: Int(length))
      switch data.number(NFTA_PAYLOAD_OFFSET.rawValue) {
      case AddressField.sourceOffset(family): return .address(family, isSource: true, mask: mask)
      case AddressField.destinationOffset(family): return .address(family, isSource: false, mask: mask)
      default: continue
      }
    }
    return nil
  }

  private mutating func mask(_ data: Attributes) throws(NetlinkError) {
    let mask = try data.nest(UInt16(NFTA_BITWISE_MASK.rawValue))?[NFTDataAttribute.value]
    let toggled = try data.nest(UInt16(NFTA_BITWISE_XOR.rawValue))?[NFTDataAttribute.value]
    guard case .address(let family, let isSource, let loadedBytes) = loaded, let mask,
      mask.count == loadedBytes.count, toggled?.allSatisfy({ $0 == 0 }) ?? true
    else { return load(nil) }
    loaded = .address(family, isSource: isSource, mask: Array(mask))
  }

  private mutating func compare(_ data: Attributes) throws(NetlinkError) {
    let value = try data.nest(NFTExpressionAttribute.comparedData)?[NFTDataAttribute.value]
    guard let value, data.number(NFTA_CMP_OP.rawValue) == NFT_CMP_EQ.rawValue else { return narrow() }
    switch loaded {
    case .family: family = value.first == IPFamily.v4.kernelValue ? .v4 : .v6
    case .address(let family, let isSource, let mask):
      guard match == .everything, let prefix = IPPrefix(family, bytes: value, mask: mask) else { return narrow() }
      self.family = family
      match = isSource ? .source(prefix) : .destination(prefix)
    case nil: narrow()
    }
  }

  private mutating func decide(_ data: Attributes) throws(NetlinkError) {
    guard let attributes = try data.nest(NFTExpressionAttribute.immediateData)?.nest(NFTDataAttribute.verdict),
      let code = attributes.number(NFTDataAttribute.verdictCode).map({ Int32(bitPattern: $0) })
    else { return }
    let chain = attributes.string(NFTDataAttribute.verdictChain) ?? ""
    switch code {
    case Int32(NF_ACCEPT): verdict = .accept
    case Int32(NF_DROP): verdict = .drop
    case Int32(NFT_JUMP.rawValue): verdict = .jump(chain)
    case Int32(NFT_GOTO.rawValue): verdict = .goto(chain)
    case Int32(NFT_RETURN.rawValue): verdict = .return
    default: break
    }
  }
}

extension Attributes {
  /// A 32-bit number in network byte order, as nf_tables sends it.
  fileprivate func number(_ type: some BinaryInteger) -> UInt32? {
    value(UInt16(type), as: UInt32.self).map { UInt32(bigEndian: $0) }
  }
}

extension IPPrefix {
  /// The prefix that begins with these bytes; `nil` if the mask is not contiguous.
  fileprivate init?(_ family: IPFamily, bytes: ArraySlice<UInt8>, mask: [UInt8]) {
    let length = mask.map { $0.leadingOnes }.prefix { $0 == 8 }.count * 8
    let rest = mask.dropFirst(length / 8)
    guard bytes.count >= mask.count, rest.dropFirst().allSatisfy({ $0 == 0 }),
      rest.first.map({ $0.leadingOnes == $0.nonzeroBitCount }) ?? true
    else { return nil }
    let padding = [UInt8](repeating: 0, count: family.bitCount / 8 - mask.count)
    guard let address = IPAddress(bytes: bytes.prefix(mask.count) + padding) else { return nil }
    self.init(address, length: length + (rest.first?.leadingOnes ?? 0))
  }
}

extension UInt8 {
  fileprivate var leadingOnes: Int { (~self).leadingZeroBitCount }
}
