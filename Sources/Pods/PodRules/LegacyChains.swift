package import Addresses
internal import Glibc
internal import Linux

/// Masquerade chains that the reference plugins made where the program `iptables` works on the kernel's older tables
/// (xtables). Netlink does not reach these tables, so the program is run. Chains that nothing leads to stay.
package enum LegacyChains {
  /// Removes the rules that lead to the container's chain, and the chain; absence is success.
  ///
  /// - Parameter isOthers: whether the address is another interface's of the container; its rule then stays.
  package static func remove(_ names: ReferenceNames, isOthers: (IPAddress) -> Bool) throws(PodRulesError) {
    try remove { jumps in
      jumps.filter { $0.chain == names.chain && !($0.source.map(isOthers) ?? false) }
    }
  }

  /// Removes the chains of the network's containers that are not among `valid`, and the rules that lead to them.
  package static func collect(network: String, keeping valid: [ReferenceNames]) throws(PodRulesError) {
    let kept = valid.map { $0.chain }
    try remove { jumps in
      jumps.filter { jump in
        guard let id = ReferenceNames.containerID(inComment: jump.comment, of: network) else { return false }
        return jump.chain == ReferenceNames.chain(network: network, containerID: id) && !kept.contains(jump.chain)
      }
    }
  }

  private static func remove(_ choose: ([LegacyJump]) -> [LegacyJump]) throws(PodRulesError) {
    var failure: PodRulesError?
    for family in IPFamily.allCases {
      do throws(PodRulesError) {
        if let program = try LegacyProgram.find(family) { try remove(program, choose) }
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  /// Tries again if another process changed the rules between the listing and the transaction.
  private static func remove(_ program: LegacyProgram, _ choose: ([LegacyJump]) -> [LegacyJump]) throws(PodRulesError) {
    for isLast in [false, false, true] {
      let jumps = try program.jumps()
      let unwanted = choose(jumps)
      if unwanted.isEmpty { return }
      do throws(PodRulesError) {
        return try program.remove(unwanted, of: jumps)
      } catch {
        guard case .legacyTables(let refusal) = error, !isLast, !refusal.isLocked else { throw error }
      }
    }
  }
}

/// A rule of POSTROUTING that leads to a chain of the reference plugins, as `iptables -S` lists it.
struct LegacyJump: Equatable {
  /// Text of the rule without `-A `; with `-D ` before it, it removes the rule.
  let rule: String
  /// `nil` for a rule of a whole network.
  let source: IPAddress?
  let comment: String
  let chain: String

  /// Reads a line; `nil` for a line that is no such rule.
  init?(line: String) {
    guard line.hasPrefix("-A POSTROUTING ") else { return nil }
    rule = String(line.dropFirst(3))
    let words = LegacyJump.words(rule)
    func value(of option: String) -> String? {
      words.firstIndex(of: option).flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
    }
    guard let chain = value(of: "-j"), chain.hasPrefix("CNI-"), let comment = value(of: "--comment") else { return nil }
    self.chain = chain
    self.comment = comment
    source = value(of: "-s").flatMap { IPPrefix($0) }.flatMap { $0.length == $0.family.bitCount ? $0.address : nil }
  }

  /// Words of a rule. Text between quotes is one word, in which a backslash quotes the next character.
  private static func words(_ text: String) -> [String] {
    var words: [String] = []
    var word: [UInt8] = []
    var isQuoted = false
    var isEscaped = false
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\\") where isQuoted && !isEscaped: isEscaped = true
      case UInt8(ascii: "\"") where !isEscaped: isQuoted.toggle()
      case UInt8(ascii: " ") where !isQuoted:
        words.append(String(decoding: word, as: UTF8.self))
        word = []
      default:
        word.append(byte)
        isEscaped = false
      }
    }
    return words + [String(decoding: word, as: UTF8.self)]
  }
}
