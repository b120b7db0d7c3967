internal import Addresses
internal import Linux

/// Hashes of a ruleset and of what the kernel made of it, kept in the state directory. They show any process whether
/// the table was changed, without interpreting its rules. Without the mark the table is installed again.
struct RulesetMark: Equatable {
  /// Hash of the ruleset's text.
  private let ruleset: UInt64
  /// Hash of the table in the kernel (`NetfilterSocket.structure`).
  let structure: UInt64

  /// Creates the mark of a ruleset that was installed.
  ///
  /// - Parameter structure: the table's hash, by `NetfilterSocket.structure`.
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

  /// Hash of the ruleset without the nodes' addresses, which are compared one by one.
  private static func hash(_ ruleset: Ruleset) -> UInt64 {
    var ruleset = ruleset
    ruleset.nodes = []
    return stableHash(ruleset.text.utf8)
  }

  /// Whether this is the mark of that ruleset, whatever its nodes.
  func isOf(_ ruleset: Ruleset) -> Bool { self.ruleset == RulesetMark.hash(ruleset) }

  private static func path(_ stateDirectory: String) -> String { "\(stateDirectory)/rules.mark" }

  /// Reads the mark; `nil` if there is none.
  static func read(_ stateDirectory: String) throws(RulesError) -> RulesetMark? {
    try catching { () throws(SystemError) in
      try Files.read(path(stateDirectory), limit: 4096).flatMap { RulesetMark(String(decoding: $0, as: UTF8.self)) }
    }
  }

  /// Writes the mark.
  func store(_ stateDirectory: String) throws(RulesError) {
    let text = "\(String(ruleset, radix: 16)) \(String(structure, radix: 16))\n"
    try RulesetMark.catching { () throws(SystemError) in
      try Files.makeDirectory(stateDirectory)
      try Files.replace(RulesetMark.path(stateDirectory), with: Array(text.utf8))
    }
  }

  /// Removes the mark.
  static func remove(_ stateDirectory: String) throws(RulesError) {
    try catching { () throws(SystemError) in try Files.remove(path(stateDirectory)) }
  }

  /// Calls `body` and turns its errors into `RulesError`.
  private static func catching<Value>(
    _ body: () throws(SystemError) -> Value
  ) throws(RulesError) -> Value {
    do throws(SystemError) { return try body() } catch { throw .system(error) }
  }
}
