internal import Addresses
internal import JSON
internal import Lease
internal import Linux
internal import NodeRoutes

/// What `status` shows, as it is told to programs: keys stay, new ones may join.
struct StatusView {
  private let source: String
  /// `nil` where that can't be told, for want of the right to look.
  private let isAgentRunning: Bool?
  private let subnetFile: String
  /// What the plugin is told now.
  private let lease: SubnetLease?
  private let report: Reconciler.Report?
  private let failure: String?
  private let facts: AgentState.Facts?

  /// - Parameter facts: what the running agent knows; without them the store is read.
  init(_ agent: NodeAgent, _ facts: AgentState.Facts? = nil) {
    source = agent.store.source
    isAgentRunning =
      facts != nil ? true : try? FileLock.isHeldExclusively(AgentLock.agentPath(agent.options.stateDir))
    subnetFile = agent.files.subnetFile
    lease = (try? SubnetLease.read(subnetFile)) ?? nil
    self.facts = facts
    do {
      guard let facts else {
        report = try agent.reconciler.inspect(agent.store.read())
        failure = nil
        return
      }
      report = try facts.snapshot.map { try agent.reconciler.inspect($0) }
      failure = facts.storeFailure.map { "\($0); the routes of the last nodes stay" } ?? facts.failure
    } catch {
      report = nil
      failure = "\(error)"
    }
  }

  var object: JSONObject {
    var object: JSONObject = [
      "node": report.map { .string($0.own.node.name) } ?? .null,
      "store": ["kind": "file", "source": .string(source)],
      "agentRunning": isAgentRunning.map { .bool($0) } ?? .null,
      "lease": lease.map(leaseValue) ?? .null,
      "peers": .array(report?.peers.map(StatusView.value) ?? []),
      "errors": .array(([failure].compactMap { $0 } + (report?.problems ?? [])).map { .string($0) }),
    ]
    if let facts { object["agent"] = StatusView.value(facts) }
    return object
  }

  private func leaseValue(_ lease: SubnetLease) -> JSONValue {
    [
      "file": .string(subnetFile), "networks": .array(lease.networks.map { .string("\($0)") }),
      "subnets": .array(lease.subnets.map { .string("\($0)") }), "mtu": .integer(Int64(lease.mtuBytes)),
      "ipMasq": .bool(lease.masquerades),
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

  private static func value(_ facts: AgentState.Facts) -> JSONValue {
    [
      "since": .string(Timestamp.text(facts.start)), "ready": .bool(facts.obstacles.isEmpty),
      "waitingFor": .array(facts.obstacles.map { .string($0) }), "repairs": .integer(Int64(facts.repairs)),
      "lastRepairs": .array(
        facts.lastRepairs.map { repair in
          [
            "time": .string(Timestamp.text(repair.time)), "what": .string(repair.change.verb.rawValue),
            "node": repair.change.node.map { .string($0) } ?? .null,
            "subnet": repair.change.subnet.map { .string("\($0)") } ?? .null,
            "nextHop": repair.change.gateway.map { .string("\($0)") } ?? .null,
            "device": repair.change.link.map { .string($0) } ?? .null,
          ]
        }),
    ]
  }
}
