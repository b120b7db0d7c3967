internal import Addresses
internal import ArgumentParser
internal import JSON
internal import Lease
internal import Linux
internal import NodeRoutes
internal import NodeRules

struct StatusCommand: AsyncParsableCommand, CommandWithOptions {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show this node's view: lease, nodes, next hops, state and reason.",
    discussion: "Exits with 1 where the nodes can't be read or this machine is none of them. Touches nothing."
  )

  @OptionGroup var options: Options

  @Flag(help: "For programs.")
  var json = false

  func run() async throws {
    let view = try await StatusView(NodeAgent(options))
    if json {
      print(try JSONValue.object(view.object).text(.indented(2)))
    } else {
      print(view.lines.joined(separator: "\n"))
    }
    if view.failure != nil { throw ExitCode.failure }
  }
}

/// What `status` shows.
struct StatusView {
  let kind: String
  let source: String
  /// `nil` where that can't be told, for want of the right to look.
  let isAgentRunning: Bool?
  let subnetFile: String
  /// What the plugin is told now.
  let lease: SubnetLease?
  let report: Reconciler.Report?
  let failure: String?
  private let switches: RuleSwitches

  init(_ agent: NodeAgent) async {
    kind = agent.store.kind
    source = agent.store.source
    isAgentRunning = try? FileLock.isHeldExclusively(AgentLock.agentPath(agent.options.stateDir))
    subnetFile = agent.files.subnetFile
    switches = agent.options.rules.ruleSwitches
    lease = (try? SubnetLease.read(subnetFile)) ?? nil
    do {
      let nodes = try await agent.store.read()
      report = try agent.reconciler.inspect(nodes)
      failure = nil
    } catch {
      report = nil
      let consolation = isAgentRunning == true ? "; the agent keeps the routes of the last nodes that it could use" : ""
      failure = "\(error)\(consolation)"
    }
  }

  var lines: [String] {
    let agent = isAgentRunning.map { $0 ? "runs" : "does not run" } ?? "can't be seen (try as root)"
    var lines = [
      "Node:   \(report?.own.node.name ?? "unknown")", "Store:  \(kind) \(source)", "Agent:  \(agent)",
    ]
    if let lease {
      let subnets = lease.subnets.map { "\($0.network)" }.joined(separator: ", ")
      lines.append(
        "Lease:  \(subnets), MTU \(lease.mtuBytes), masquerade \(lease.masquerades) (\(subnetFile))")
    } else {
      lines.append("Lease:  none (\(subnetFile))")
    }
    if let report { lines.append("Rules:  \(ReportText.rules(report.rules, switches))") }
    if let failure { lines.append("Error:  \(failure)") }
    for problem in report?.problems ?? [] { lines.append("Error:  \(problem)") }
    for warning in report?.warnings ?? [] { lines.append("Note:   \(warning)") }
    if let report { lines += [""] + ReportText.table(report) }
    return lines
  }

  /// The same for programs; keys stay, new ones may join.
  var object: JSONObject {
    [
      "node": report.map { .string($0.own.node.name) } ?? .null,
      "store": ["kind": .string(kind), "source": .string(source)],
      "agentRunning": isAgentRunning.map { .bool($0) } ?? .null,
      "lease": lease.map(leaseValue) ?? .null,
      "rules": report.map { rulesValue($0.rules) } ?? .null,
      "peers": .array(report?.peers.map(StatusView.value) ?? []),
      "errors": .array(([failure].compactMap { $0 } + (report?.problems ?? [])).map { .string($0) }),
      "warnings": .array((report?.warnings ?? []).map { .string($0) }),
    ]
  }

  private func leaseValue(_ lease: SubnetLease) -> JSONValue {
    [
      "file": .string(subnetFile), "networks": .array(lease.networks.map { .string("\($0)") }),
      "subnets": .array(lease.subnets.map { .string("\($0)") }), "mtu": .integer(Int64(lease.mtuBytes)),
      "ipMasq": .bool(lease.masquerades),
    ]
  }

  private func rulesValue(_ rules: RulesReport) -> JSONValue {
    [
      "table": .string("\(RulesReconciler.tableName)"), "state": .string(rules.table.rawValue),
      "masquerade": switches.masquerade.map { .string($0.rawValue) } ?? .null, "forward": .bool(switches.forwards),
    ]
  }

  private static func value(_ peer: PeerRoute) -> JSONValue {
    [
      "node": .string(peer.node), "family": .string("\(peer.family)"),
      "subnet": peer.subnet.map { .string("\($0)") } ?? .null,
      "nextHop": peer.gateway.map { .string("\($0)") } ?? .null,
      "device": peer.link.map { .string($0) } ?? .null, "state": .string(peer.stateName),
      "reason": peer.reason.map { .string($0) } ?? .null,
    ]
  }
}
