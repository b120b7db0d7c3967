package import JSON
internal import Linux
internal import NodeLease
internal import Nodes
internal import NodeState
internal import Parts

/// Output of `status`, as JSON for programs. Keys stay; new ones may join.
package struct StatusView {
  private let kind: String
  private let source: String
  /// `nil` if that cannot be seen without root's rights.
  private let isAgentRunning: Bool?
  private let parts: [any NodePart]
  /// By the parts' names.
  private let reports: [String: any PartReport]
  private let failure: Finding?
  private let facts: AgentState.Facts?

  /// - Parameter facts: what the running agent knows; without them the store is read.
  package init(_ agent: NodeAgent, _ facts: AgentState.Facts? = nil) async {
    kind = agent.store.kind
    let stateDirectory = agent.settings.files.stateDirectory
    isAgentRunning = facts != nil ? true : try? FileLock.isHeldExclusively(AgentLock.agentPath(stateDirectory))
    parts = agent.settings.parts.inStageOrder
    self.facts = facts
    var nodes: NodeSnapshot?
    var found: [String: any PartReport] = [:]
    var failure = facts.flatMap(StatusView.failure)
    do {
      if facts == nil { nodes = try await agent.store.read() }
      let inspection = try await StatusView.inspect(parts, facts, nodes)
      found = inspection.reports
      if let reason = inspection.failure { failure = .failed(reason) }
    } catch {
      failure = Finding(
        "CW-STO-01", .fault, "\(error)", remedy: "Correct the store, or the access to it.")
    }
    (reports, self.failure) = (found, failure)
    // Some stores know it only when they have been asked.
    source = agent.store.source
  }

  /// Reason why the agent uses older nodes, or the kernel's state before the last pass.
  private static func failure(_ facts: AgentState.Facts) -> Finding? {
    if let failure = facts.storeFailure {
      return Finding(
        "CW-STO-01", .fault, "\(failure); the routes of the last nodes stay",
        remedy: "Correct the store, or the agent's access to it.")
    }
    return facts.failure.map { .failed($0) }
  }

  /// Inspects all parts; one that fails hides no other.
  private static func inspect(
    _ parts: [any NodePart], _ facts: AgentState.Facts?, _ nodes: NodeSnapshot?
  ) async throws -> (reports: [String: any PartReport], failure: String?) {
    try await onThread {
      var reports: [String: any PartReport] = [:]
      var failure: String?
      for part in parts {
        let record = facts?.records[part.name]
        do {
          reports[part.name] = try part.inspection(of: record, nodes ?? record?.nodes)
        } catch {
          failure = failure ?? "\(error)"
        }
      }
      return (reports, failure)
    }
  }

  private var findings: [Finding] {
    let writing = (facts?.store?.writeFailure).map {
      Finding(
        "CW-STO-02", .fault, "this node's record cannot be written to the store: \($0)",
        remedy: "Give the agent the right to write this node's record.")
    }
    return [failure, writing].compactMap { $0 } + parts.flatMap { $0.findings(reports[$0.name]) }
  }

  /// JSON object that `status --json` shows.
  package var object: JSONObject {
    var object: JSONObject = [
      "node": .null, "store": .object(storeValue), "agentRunning": isAgentRunning.map { .bool($0) } ?? .null,
    ]
    for part in parts {
      for member in part.json(reports[part.name], of: facts?.records[part.name]).members {
        object[member.name] = member.value
      }
    }
    let findings = findings
    object["errors"] = .array(findings.faults.map { .string($0) })
    object["warnings"] = .array(findings.warnings.map { .string($0) })
    // Without an agent, findings of severity `waiting` do not apply. The peers have a list of their own.
    object["findings"] = .array(
      findings.filter { $0.subject.isEmpty && (facts != nil || $0.severity != .waiting) }.map(\.json))
    if let facts { object["agent"] = .object(StatusView.value(facts)) }
    return object
  }

  /// A store that the agent speaks to has a state of its own.
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

  private static func value(_ facts: AgentState.Facts) -> JSONObject {
    let obstacles = [facts.obstacle].compactMap { $0?.words }
    var object: JSONObject = [
      "since": .string(Timestamp.text(facts.start)), "ready": .bool(obstacles.isEmpty),
      "waitingFor": .array(obstacles.map { .string($0) }),
    ]
    for part in facts.parts {
      guard let key = part.repairsKey else { continue }
      object[key] = .integer(Int64(facts.records[part.name]?.tally.repairs ?? 0))
    }
    object["lastRepairs"] = .array(facts.lastRepairs.map { .object($0.json) })
    return object
  }
}

extension NodePart {
  /// Report of the part now, for a running agent or without one; `nil` if it has no input.
  fileprivate func inspection(of record: AgentState.PartRecord?, _ nodes: NodeSnapshot?) throws -> Report? {
    let last = record?.report as? Report
    guard nodes != nil else { return last }
    return try inspect(NodeView(nodes: nodes), since: last)
  }

  fileprivate func findings(_ report: (any PartReport)?) -> [Finding] { findings(report as? Report) }
}

extension Finding {
  fileprivate var json: JSONValue {
    [
      "id": .string(id), "severity": .string(severity.rawValue), "words": .string(words), "remedy": .string(remedy),
      "keepsPodsFromBeingServed": .bool(keepsPodsFromBeingServed),
    ]
  }
}

extension AgentState.Repair {
  /// All keys that a repair of routes or rules has, and those that it has besides.
  fileprivate var json: JSONObject {
    var object: JSONObject = ["time": .string(Timestamp.text(time)), "what": .string(change.verb)]
    for key in [Change.Key.rules, .node, .subnet, .nextHop, .device] { object[key.name] = .null }
    for field in change.subject { object[field.key.name] = .string(field.value) }
    return object
  }
}

extension Finding {
  /// A pass, or an inspection, that failed as a whole.
  fileprivate static func failed(_ words: String) -> Finding {
    Finding("CW-SYS-03", .fault, words, remedy: "Correct what the words name.")
  }
}
