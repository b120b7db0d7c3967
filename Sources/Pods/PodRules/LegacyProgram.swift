internal import Addresses
internal import Linux

/// The program for the kernel's older tables (xtables) of one family.
struct LegacyProgram {
  private let path: String

  /// Finds the program; `nil` where the kernel has no such table `nat`, or no program here can have made its chains.
  static func find(_ family: IPFamily) throws(PodRulesError) -> LegacyProgram? {
    let (tables, name) =
      switch family {
      case .v4: ("ip_tables_names", "iptables")
      case .v6: ("ip6_tables_names", "ip6tables")
      }
    // The file lists the tables that are in use in this namespace.
    let names = try fromSystem(Files.read("/proc/net/\(tables)", limit: 4096)) ?? []
    guard names.split(separator: UInt8(ascii: "\n")).contains(where: { $0.elementsEqual("nat".utf8) }) else {
      return nil
    }
    if let path = path(of: "\(name)-legacy") { return LegacyProgram(path: path) }
    guard let path = path(of: name) else { return nil }
    let program = LegacyProgram(path: path)
    // "iptables v1.8.9 (legacy)"; older versions know no other tables and name none. The search compares words: one
    // for a text within a text would link the library of regular expressions, a fifth of the plugin.
    let words = try program.run(path, ["--version"]).split(whereSeparator: { $0.isWhitespace })
    return words.contains { $0 == "(nf_tables)" } ? nil : program
  }

  private static func path(of name: String) -> String? {
    searchPath.split(separator: ":").map { "\($0)/\(name)" }.first { Files.isProgram($0) }
  }

  private static var searchPath: String {
    CurrentProcess.environment("PATH") ?? "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
  }

  /// Rules that lead to chains of the reference plugins.
  func jumps() throws(PodRulesError) -> [LegacyJump] {
    let list = try run(path, LegacyProgram.lockOptions + ["-t", "nat", "-S", "POSTROUTING"])
    return list.split(separator: "\n").compactMap { LegacyJump(line: String($0)) }
  }

  /// Removes rules, and the chains that no other rule of `all` leads to. If one is missing, nothing is removed.
  func remove(_ unwanted: [LegacyJump], of all: [LegacyJump]) throws(PodRulesError) {
    var chains: [String] = []
    for jump in unwanted where !chains.contains(jump.chain) {
      if !all.contains(where: { $0.chain == jump.chain && !unwanted.contains($0) }) { chains.append(jump.chain) }
    }
    let lines =
      ["*nat"] + unwanted.map { "-D \($0.rule)" } + chains.map { "-F \($0)" } + chains.map { "-X \($0)" } + ["COMMIT"]
    _ = try run(
      "\(path)-restore", LegacyProgram.lockOptions + ["--noflush"], input: lines.map { "\($0)\n" }.joined())
  }

  /// Limit, in seconds, for the wait for xtables' lock, which other programs may hold for long.
  private static let lockOptions = ["-w", "5"]

  private func run(_ path: String, _ arguments: [String], input: String = "") throws(PodRulesError) -> String {
    let outcome = try fromSystem(
      Program.run(
        path, arguments, environment: ["PATH=\(LegacyProgram.searchPath)"], input: Array(input.utf8),
        limit: .seconds(10), collectsErrors: true))
    let output = String(decoding: outcome.output, as: UTF8.self)
    guard outcome.status == 0 else {
      throw .legacyTables(
        LegacyTablesRefused(
          command: ([path] + arguments).joined(separator: " "), status: outcome.status, output: output))
    }
    return output
  }
}

/// Failure of a command on the older tables, with the command's own message.
package struct LegacyTablesRefused: Sendable, CustomStringConvertible {
  let command: String
  let status: Int32
  let output: String

  /// Whether another process held the lock all the time (RESOURCE_PROBLEM of libxtables).
  var isLocked: Bool { status == 4 }

  package var description: String {
    "\(command): status \(status): \(output.split(separator: "\n").joined(separator: " "))"
  }
}
