internal import CLinux
internal import Netlink

/// A rule as the kernel reports it: its position, its comment, its target and its operands.
package struct NetfilterRule: Sendable, Equatable {
  /// The chain that contains the rule.
  package let chain: ChainName
  /// The rule's handle, unique in its table.
  package let handle: UInt64
  /// The comment, from the user data of `nft` or from the comment match of `iptables`; empty if there is none.
  package let comment: String
  /// The chain that the rule jumps to or continues in (`jump`, `goto`).
  package let target: String?
  /// The values that the rule compares with, in order: addresses in network byte order, link names padded with zeros.
  package let operands: [[UInt8]]

  init(_ attributes: Attributes, in table: TableName) throws(NetlinkError) {
    chain = ChainName(attributes.string(NFTAttribute.ruleChain) ?? "", in: table)
    handle = attributes.value(NFTAttribute.ruleHandle, as: UInt64.self).map { UInt64(bigEndian: $0) } ?? 0
    var comment = attributes[NFTAttribute.ruleUserData].flatMap { UserDataComment.read($0) } ?? ""
    var target: String?
    var operands: [[UInt8]] = []
    for entry in try attributes.nest(NFTAttribute.ruleExpressions)?.list(NFTAttribute.listEntry) ?? [] {
      let expression = try Attributes(entry)
      guard let data = try expression.nest(NFTAttribute.expressionData) else { continue }
      switch expression.string(NFTAttribute.expressionName) {
      case "cmp":
        if let operand = try data.nest(NFTExpressionAttribute.comparedData)?[NFTDataAttribute.value] {
          operands.append(Array(operand))
        }
      case "immediate":
        target =
          try data.nest(NFTExpressionAttribute.immediateData)?.nest(NFTDataAttribute.verdict)?
          .string(NFTDataAttribute.verdictChain) ?? target
      case "match" where data.string(NFTExpressionAttribute.matchName) == "comment":
        // struct xt_comment_info (linux/netfilter/xt_comment.h): 256 bytes of text.
        comment = data.string(NFTExpressionAttribute.matchInfo) ?? comment
      default: break
      }
    }
    self.comment = comment
    self.target = target
    self.operands = operands
  }
}
