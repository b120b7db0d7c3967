internal import Addresses
internal import FastPath
internal import JSON
internal import Linux
internal import NodeFastPath
internal import NodeRoutes
internal import NodeRules
internal import Nodes
internal import NodeState
internal import OwnNode

/// What `status` shows, as it is told to programs: keys stay, new ones may join.
struct StatusView {
  private let kind: String
  private let source: String
  /// `nil` where that can't be told, for want of the right to look.
  private let isAgentRunning: Bool?
  private let subnetFile: String
  /// What the plugin is told now.
  private let lease: SubnetLease?
  private let report: Reconciler.Report?
  private let rules: RulesReport?
  private let failure: String?
  private let facts: AgentState.Facts?
  private let switches: RuleSwitches
  private let counts: [FastPathCount]?

  /// - Parameter facts: what the running agent knows; without them the store is read.
  init(_ agent: NodeAgent, _ facts: AgentState.Facts? = nil) async {
    kind = agent.store.kind
    isAgentRunning =
      facts != nil ? true : try? FileLock.isHeldExclusively(AgentLock.agentPath(agent.options.stateDir))
    subnetFile = agent.files.subnetFile
    lease = try? SubnetLease.read(subnetFile)
    switches = agent.options.ruleSwitches
    self.facts = facts
    counts = try? agent.fastPath.counts()
    do {
      let nodes: NodeSnapshot?
      if let facts { nodes = facts.snapshot } else { nodes = try await agent.store.read() }
      if let nodes {
        (rules, report) = try await onThread { (agent.rules.inspect(nodes), try agent.reconciler.inspect(nodes)) }
      } else {
        (rules, report) = (nil, nil)
      }
      failure = facts?.storeFailure.map { "\($0); the routes of the last nodes stay" } ?? facts?.failure
    } catch {
      (rules, report) = (nil, nil)
      failure = "\(error)"
    }
    // Known to some stores only when they have been asked.
    source = agent.store.source
  }

  var object: JSONObject {
    var object: JSONObject = [
      "node": report.map { .string($0.own.node.name) } ?? .null,
      "store": .object(storeValue),
      "backend": report.map { .string($0.backend) } ?? .null,
      "agentRunning": isAgentRunning.map { .bool($0) } ?? .null,
      "lease": lease.map { .object(leaseValue($0)) } ?? .null,
      "rules": rules.map(rulesValue) ?? .null,
      "fastPath": fastPathValue, "peers": .array(report?.peers.map(StatusView.value) ?? []),
      "errors": .array(errors.map { .string($0) }), "warnings": .array(warnings.map { .string($0) }),
    ]
    if let facts { object["agent"] = StatusView.value(facts) }
    return object
  }

  private var errors: [String] {
    let writing = facts?.store?.writeFailure.map { "the store can't be told of this node: \($0)" }
    return [failure, writing].compactMap { $0 } + (report?.problems ?? []) + (rules?.problems ?? [])
  }
  private var warnings: [String] {
    (facts?.fastPath?.unavailability.map { ["no fast path, everything goes the ordinary way: \($0)"] } ?? [])
      + (facts?.fastPath?.problems ?? []) + (report?.warnings ?? []) + (rules?.warnings ?? [])
      + [facts?.lease?.shortage].compactMap { $0 }
  }

  /// A store that is spoken to has a state of its own.
  private var storeValue: JSONObject {
    var object: JSONObject = ["kind": .string(kind), "source": .string(source)]
    guard let store = facts?.store else { return object }
    object["connected"] = .bool(store.isConnected)
    object["endpoint"] = store.endpoint.map { .string($0) } ?? .null
    object["revision"] = store.revision.map { .integer($0) } ?? .null
    object["lastError"] = store.lastFailure.map { .string($0) } ?? .null
    object["since"] = .string(Timestamp.text(store.since))
    return object
  }

  private func leaseValue(_ lease: SubnetLease) -> JSONObject {
    var object: JSONObject = [
      "file": .string(subnetFile), "networks": .array(lease.networks.map { .string("\($0)") }),
      "subnets": .array(lease.subnets.map { .string("\($0)") }), "mtu": .integer(Int64(lease.mtuBytes)),
      "ipMasq": .bool(lease.masquerades),
    ]
    guard let held = facts?.lease else { return object }
    object["state"] = .string(held.state.name)
    object["reason"] = held.state.reason.map { .string($0) } ?? .null
    object["expiry"] = held.expiry.map { .string(Timestamp.text($0)) } ?? .null
    return object
  }

  /// The state of rules that this user may not look at.
  static let hidden = "hidden"

  private func rulesValue(_ rules: RulesReport) -> JSONValue {
    [
      "table": .string("\(RulesReconciler.tableName)"),
      "state": .string(rules.mayNotLook ? StatusView.hidden : rules.table.rawValue),
      "masquerade": switches.masquerade.map { .string($0.rawValue) } ?? .null, "forward": .bool(switches.forwards),
    ]
  }

  /// `null` where there is none and no agent that wants one.
  private var fastPathValue: JSONValue {
    guard counts != nil || facts?.fastPath != nil else { return .null }
    var object: JSONObject = [:]
    switch facts?.fastPath?.state {
    case nil: object["state"] = "on"
    case .off: object["state"] = "off"
    case .on(let knowledge, let reason):
      object["state"] = "on"
      object["flows"] = .string(knowledge.rawValue)
      object["reason"] = reason.map { .string($0) } ?? .null
    case .unavailable(let reason):
      object["state"] = "unavailable"
      object["reason"] = .string(reason)
    }
    if let found = facts?.fastPath {
      object["peers"] = .integer(Int64(found.peerCount))
      object["addresses"] = .integer(Int64(found.podCount))
      object["limitedPods"] = .integer(Int64(found.limitedPods))
      object["repairs"] = .integer(Int64(facts?.fastPathRepairs ?? 0))
    }
    for direction in FastPathCount.Direction.allCases {
      var reasons: JSONObject = [:]
      for count in counts ?? [] where count.direction == direction {
        reasons[count.reason.name] = [
          "packets": .integer(Int64(clamping: count.packets)), "bytes": .integer(Int64(clamping: count.bytes)),
        ]
      }
      object[direction.name] = .object(reasons)
    }
    return .object(object)
  }

  private static func value(_ peer: PeerRoute) -> JSONValue {
    [
      "node": .string(peer.node), "family": .string("\(peer.family)"),
      "subnet": peer.subnet.map { .string("\($0)") } ?? .null,
      "nextHop": peer.gateway.map { .string("\($0)") } ?? .null,
      "device": peer.link.map { .string($0) } ?? .null, "state": .string(peer.stateName),
      "reason": (peer.reason ?? peer.detour).map { .string($0) } ?? .null,
    ]
  }

  private static func value(_ facts: AgentState.Facts) -> JSONValue {
    [
      "since": .string(Timestamp.text(facts.start)), "ready": .bool(facts.obstacles.isEmpty),
      "waitingFor": .array(facts.obstacles.map { .string($0) }), "repairs": .integer(Int64(facts.repairs)),
      "ruleRepairs": .integer(Int64(facts.ruleRepairs)),
      "lastRepairs": .array(
        facts.lastRepairs.map { repair in
          [
            "time": .string(Timestamp.text(repair.time)), "what": .string(repair.what),
            "rules": repair.rules.map { .string($0) } ?? .null, "node": repair.route?.node.map { .string($0) } ?? .null,
            "subnet": repair.route?.subnet.map { .string("\($0)") } ?? .null,
            "nextHop": repair.route?.gateway.map { .string("\($0)") } ?? .null,
            "device": repair.route?.link.map { .string($0) } ?? .null,
          ]
        }),
    ]
  }
}
