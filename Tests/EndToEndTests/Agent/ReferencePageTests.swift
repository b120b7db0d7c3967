import JSON
import Linux
import TestSupport
import Testing

/// Checks that `conf/docs/reference.md` names each option, metric, key, finding, exit code and error code.
///
/// The lists come from the shipped programs or, where no program prints them, from the sources. A new option fails here
/// until the page has it. Each list has a minimum size, so that an empty list fails too.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct ReferencePageTests {
  private let page: ReferencePage

  init() throws {
    page = try ReferencePage()
  }

  @Test func everyOptionAndItsVariable() throws {
    let help = try run([Binaries.hostgw, "run", "--help"]).succeeded().output
    let options = Set(help.matches(of: #/--[a-z0-9][a-z0-9-]*/#).map { String($0.output) })
    #expect(options.count >= 45)
    for option in options.sorted() {
      #expect(page.lines.contains { $0.names(option) }, "\(option)")
      // Help and version are not options of the agent.
      guard option != "--help", option != "--version" else { continue }
      let variable = "CAUSEWAY_" + option.dropFirst(2).uppercased().replacing("-", with: "_")
      #expect(page.lines.contains { $0.hasPrefix("| `\(option)` | `\(variable)` |") }, "\(option), \(variable)")
    }
  }

  /// Uses an agent with a fast path and one with an etcd lease, which together have all metrics and keys.
  @Test func everyMetricAndEveryKeyOfStatus() throws {
    let port = "8475"
    let fastPath = try FastPathCluster(2, options: ["--healthz-port", port])
    let etcd = try EtcdCluster(1)
    let (agent, _) = try etcd.agentWithLease(0, "--healthz-port", port)
    // One repair, so that `status` has one to show.
    try fastPath.nodes[0].sh("ip route del 10.244.2.0/24")
    let isRepaired = try eventually {
      try fastPath.status(0)["agent"]?.object?["lastRepairs"]?.array?.isEmpty == false
    }
    #expect(isRepaired, "\(fastPath.agents[0].output)")

    var types: [String: String] = [:]
    for node in [fastPath.nodes[0], etcd.nodes[0]] {
      let text = try node.sh("curl -sf http://127.0.0.1:\(port)/metrics")
      for match in text.matches(of: #/# TYPE (?<name>\w+) (?<type>\w+)/#) {
        types[String(match.output.name)] = String(match.output.type)
      }
    }
    #expect(types.count >= 25, "\(types)\n\(agent.output)")
    for (name, type) in types.sorted(by: { $0.key < $1.key }) {
      #expect(page.lines.contains { $0.hasPrefix("| `\(name)` | \(type) |") }, "\(name), a \(type)")
    }

    let section = try page.section("`status --json`")
    var keys: Set<String> = []
    for status in try [fastPath.status(0), etcd.status(0)] {
      for member in status.members {
        keys.insert(member.name)
        #expect(section.contains { $0.hasPrefix("| ") && $0.names(member.name) }, "\(member.name)")
        let rows = section.filter { $0.contains("`\(member.name)`") || $0.contains("`\(member.name).") }
        for key in ReferencePageTests.keys(member.value) {
          keys.insert("\(member.name).\(key)")
          #expect(rows.contains { $0.names(key) }, "\(key) in \(member.name)")
        }
      }
    }
    #expect(keys.count >= 60, "\(keys.sorted())")
  }

  /// The names of all members of a value at any depth.
  private static func keys(_ value: JSONValue) -> Set<String> {
    var names: Set<String> = []
    for member in value.object?.members ?? [] {
      names.insert(member.name)
      names.formUnion(keys(member.value))
    }
    for element in value.array ?? [] { names.formUnion(keys(element)) }
    return names
  }

  /// Checks the keys that the plugin reads from its configuration. Results of earlier plugins have other keys.
  @Test func everyKeyOfThePlugin() throws {
    let sources = try run([
      "/bin/sh", "-ec",
      """
      cd "$0"
      find Sources -path '*/PodNetwork/*.swift' -exec cat {} +
      find Sources -path '*/CNI/*.swift' ! -name 'AttachmentResult+Versions.swift' -exec cat {} +
      """, Binaries.packageRoot,
    ]).succeeded().output
    let reading =
      #/\.(?:value|string|text|bool|integer|number|fields|array|strings|list|lists|prefix|address)\("(?<key>[^"\\]+)"/#
    let keys = Set(
      sources.matches(of: reading).map { String($0.output.key) }
        + sources.matches(of: #/"(?<key>cni\.dev\/[a-z-]+)"/#).map { String($0.output.key) })
    #expect(keys.count >= 60, "\(keys.sorted())")
    let section = try page.section("Keys of the plugin")
    for key in keys.sorted() { #expect(section.contains { $0.hasPrefix("| ") && $0.names(key) }, "\(key)") }
  }

  @Test func everyFinding() throws {
    let sources = try run(
      ["/bin/sh", "-ec", "find \"$0/Sources\" -name '*.swift' -exec cat {} +", Binaries.packageRoot]
    ).succeeded().output
    let ids = Set(sources.matches(of: #/CW-[A-Z]+-[0-9]+/#).map { String($0.output) })
    #expect(ids.count >= 24, "\(ids.sorted())")
    let section = try page.section("Findings")
    for id in ids.sorted() { #expect(section.contains { $0.hasPrefix("| `\(id)` | ") }, "\(id)") }
    // The page has no IDs that no program uses.
    #expect(section.count { $0.hasPrefix("| `CW-") } == ids.count)
  }

  /// Checks that each command ends with each exit code of its row, and with 64 after a wrong option or value.
  @Test func everyExitCode() throws {
    let fixture = try AgentFixture()
    let (node, other) = (fixture.node, fixture.cluster.nodes[1])
    let section = try page.section("Commands of `causeway-hostgw`")
    func expectRow(of command: String, with code: Int32) throws {
      let row = try #require(section.first { $0.hasPrefix("| `\(command)`") }, "\(command)")
      let codes = try #require(row.split(separator: "|").last).matches(of: #/\b\d+\b/#).map { Int32($0.output) }
      #expect(codes.contains(code), "\(row)")
    }
    func expect(_ code: Int32, _ host: TestNode, _ command: String, _ arguments: String...) throws {
      try expectRow(of: command, with: code)
      let words = command.split(separator: " ").map { String($0) }
      let result = try host.run([Binaries.hostgw] + words + arguments)
      #expect(result.status == code, "\(result)")
    }

    try expect(0, other, "sync")
    try expect(1, other, "sync", "--nodes-file", "/run/none")
    for status in ["status", "status --json"] {
      try expect(0, other, status)
      try expect(1, other, status, "--node-name", "node-x")
      try expect(1, other, status, "--nodes-file", "/run/none")
    }
    for clean in ["clean", "clean --pods"] { try expect(0, other, clean) }
    try expect(0, other, "--version")
    #expect(try other.hostgw("--help").status == 0)
    // An agent works on this node.
    for command in ["run", "clean", "clean --pods"] { try expect(1, node, command) }
    fixture.agent.signal(15)
    try expectRow(of: "run", with: 0)
    #expect(try fixture.agent.exitStatus(within: .seconds(15)) == 0, "\(fixture.agent.output)")

    #expect(section.contains { $0.hasPrefix("A wrong option or value ends every command with exit code 64.") })
    for command in ["run", "sync", "clean", "status"] {
      for wrong in ["--no-such-option", "--ip-masq=perhaps"] {
        let result = try node.hostgw(command, wrong)
        #expect(result.status == 64, "\(result)")
      }
    }
  }

  @Test func everyErrorCode() throws {
    let source = try run(
      ["/bin/sh", "-ec", "find \"$0/Sources\" -name CNIError.swift -exec cat {} +", Binaries.packageRoot]
    ).succeeded().output
    let codes = source.matches(of: #/static let \w+ = Code\(rawValue: (?<code>\d+)\)/#).map { String($0.output.code) }
    #expect(codes.count >= 11)
    let section = try page.section("CNI error codes")
    for code in codes { #expect(section.contains { $0.hasPrefix("| \(code) | ") }, "\(code)") }
  }
}

/// The lines of `conf/docs/reference.md`.
private struct ReferencePage {
  let lines: [Substring]

  init() throws {
    let path = "\(Binaries.packageRoot)/conf/docs/reference.md"
    let bytes = try #require(try Files.read(path, limit: 1 << 20), "\(path)")
    lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
  }

  /// The lines below a second-level heading, up to the next one.
  func section(_ title: String) throws -> [Substring] {
    let start = try #require(lines.firstIndex(of: "## \(title)"), "\(title)")
    return Array(lines[(start + 1)...].prefix { !$0.hasPrefix("## ") })
  }
}

extension Substring {
  /// Whether the line has a name as code: alone, or as the last part of a path of keys.
  fileprivate func names(_ name: String) -> Bool { contains("`\(name)`") || contains(".\(name)`") }
}
