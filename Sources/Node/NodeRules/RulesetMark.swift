internal import Addresses
internal import Linux

/// What the kernel made of a ruleset, kept under the state directory: so a table that somebody has changed is told from
/// one that is as it was, by any process, without understanding a rule. Without the mark the table is put in place anew.
struct RulesetMark: Equatable {
  private let ruleset: UInt64
  let structure: UInt64

  /// - Parameter structure: the table's, as `NetfilterSocket.structure` has it.
  init(_ ruleset: Ruleset, structure: UInt64) {
    self.ruleset = RulesetMark.hash(ruleset)
    self.structure = structure
  }

  private init?(_ text: String) {
    let numbers = text.split { $0 == " " || $0 == "\n" }.compactMap { UInt64($0, radix: 16) }
    guard numbers.count == 2 else { return nil }
    ruleset = numbers[0]
    structure = numbers[1]
  }

  /// Of all but the nodes' addresses, which are compared one by one.
  private static func hash(_ ruleset: Ruleset) -> UInt64 {
    var ruleset = ruleset
    ruleset.nodes = []
    return stableHash(ruleset.text.utf8)
  }

  func isOf(_ ruleset: Ruleset) -> Bool { self.ruleset == RulesetMark.hash(ruleset) }

  private static func path(_ stateDirectory: String) -> String { "\(stateDirectory)/rules.mark" }

  static func read(_ stateDirectory: String) throws(RulesError) -> RulesetMark? {
    try catching { () throws(SystemError) in
      try Files.read(path(stateDirectory), limit: 4096).flatMap { RulesetMark(String(decoding: $0, as: UTF8.self)) }
    }
  }

  func store(_ stateDirectory: String) throws(RulesError) {
    let text = "\(String(ruleset, radix: 16)) \(String(structure, radix: 16))\n"
    try RulesetMark.catching { () throws(SystemError) in
      try Files.makeDirectory(stateDirectory)
      try Files.replace(RulesetMark.path(stateDirectory), with: Array(text.utf8))
    }
  }

  static func remove(_ stateDirectory: String) throws(RulesError) {
    try catching { () throws(SystemError) in try Files.remove(path(stateDirectory)) }
  }

  private static func catching<Value>(
    _ body: () throws(SystemError) -> Value
  ) throws(RulesError) -> Value {
    do throws(SystemError) { return try body() } catch { throw .system(error) }
  }
}
