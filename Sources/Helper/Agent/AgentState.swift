internal import JSON
internal import Linux
package import Nodes
internal import NodeLease
package import Parts
internal import Synchronization

/// State of the agent and record of its passes: its services write it; `status`, metrics and readiness read it.
package final class AgentState: Sendable {
  /// Restored change of another program.
  struct Repair: Sendable {
    /// Since the epoch.
    let time: Duration
    let change: Change
  }

  /// Last pass of a part, and counts of its passes.
  struct PartRecord: Sendable {
    /// The report of the last pass that did not fail as a whole.
    var report: (any PartReport)?
    /// The nodes of that pass.
    var nodes: NodeSnapshot?
    /// Reason why the last pass failed as a whole.
    var failure: String?
    var tally = PartTally()
  }

  /// Snapshot of the agent's state.
  package struct Facts: Sendable {
    /// In the order of their stages.
    let parts: [any NodePart]
    /// Since the epoch.
    let start: Duration
    var nodes: NodeSnapshot?
    /// By the parts' names.
    var records: [String: PartRecord] = [:]
    /// Reason why the nodes cannot be read; `nil` if they can.
    var storeFailure: String?
    /// The state of the store and of the lease in it; `nil` for a store that gives no leases.
    var store: AgentConditions.Store?
    var lease: AgentConditions.Lease?
    /// The newest first.
    var lastRepairs: [Repair] = []
  }

  /// Number of repairs that are remembered.
  private static let remembered = 20

  private let facts: Mutex<Facts>
  private let conditions: AgentConditions?
  private let listeners = Mutex<[@Sendable () -> Void]>([])

  /// - Parameter conditions: of a store that gives leases.
  package init(_ parts: [any NodePart], conditions: AgentConditions?) {
    self.conditions = conditions
    facts = Mutex(Facts(parts: parts.inStageOrder, start: MonotonicTime.sinceEpoch))
  }

  /// Snapshot of the state now.
  package var now: Facts {
    var facts = facts.withLock { $0 }
    facts.store = conditions?.store
    facts.lease = conditions?.lease
    return facts
  }

  var hasNodes: Bool { facts.withLock { $0.nodes != nil } }

  /// Calls `listener` whenever the network may be up or down; it must be quick.
  func listen(_ listener: @escaping @Sendable () -> Void) {
    listeners.withLock { $0.append(listener) }
    conditions?.listen(listener)
    listener()
  }

  private func callListeners() {
    for listener in listeners.withLock({ $0 }) { listener() }
  }

  /// Whether a part may make a pass: the nodes are known, and the parts of earlier stages have ended a pass
  /// without an error.
  package func isTurn(of part: some NodePart) -> Bool {
    facts.withLock { facts in
      part.startsAtOnce
        || (facts.nodes != nil
          && facts.parts.allSatisfy { $0.stage >= part.stage || facts.records[$0.name]?.report != nil })
    }
  }

  /// Input of a pass.
  package func view(for part: some NodePart, _ triggers: Set<Trigger>) -> NodeView {
    let facts = now
    return NodeView(
      nodes: facts.nodes, triggers: triggers, reports: facts.records.values.compactMap(\.report),
      obstacle: facts.obstacle(before: min(part.stage, .lease)))
  }

  /// The nodes were read, or could not be.
  func note(_ nodes: Result<NodeSnapshot, any Error>) {
    facts.withLock { facts in
      switch nodes {
      case .success(let nodes): (facts.nodes, facts.storeFailure) = (nodes, nil)
      case .failure(let error): facts.storeFailure = "\(error)"
      }
    }
  }

  /// The store cannot be read, but these nodes are known.
  func note(lastKnown nodes: NodeSnapshot) {
    facts.withLock { $0.nodes = $0.nodes ?? nodes }
  }

  /// A pass has ended.
  package func note(_ report: some PartReport, of part: some NodePart, _ view: NodeView, took duration: Duration) {
    facts.withLock { facts in
      var record = facts.records[part.name] ?? PartRecord()
      record.report = report
      record.nodes = try? view.nodes
      record.failure = nil
      record.tally.durations.observe(duration)
      record.tally.repairs += report.repairCount
      facts.records[part.name] = record
      let time = MonotonicTime.sinceEpoch
      let repairs = report.repairs.prefix(AgentState.remembered).map { Repair(time: time, change: $0) }
      if !repairs.isEmpty {
        facts.lastRepairs = Array((repairs + facts.lastRepairs).prefix(AgentState.remembered))
      }
    }
    callListeners()
  }

  /// A pass has failed as a whole.
  package func note(failure: String, of part: some NodePart, took duration: Duration) {
    facts.withLock { facts in
      var record = facts.records[part.name] ?? PartRecord()
      record.failure = failure
      record.tally.durations.observe(duration)
      record.tally.failedPasses += 1
      facts.records[part.name] = record
    }
    callListeners()
  }
}

extension AgentState.Facts {
  /// Reason why the node is not ready; `nil` if it is.
  package var obstacle: Finding? { obstacle(before: .extras) }

  /// The first finding, in the order of the stages, that keeps pods from being served.
  ///
  /// A peer that cannot be reached is shown by its state and does not delay pods.
  func obstacle(before stage: Stage) -> Finding? {
    for part in parts where part.stage < stage {
      let record = records[part.name]
      if record?.report == nil, record?.failure != nil { return firstPass }
      if let finding = part.findings(of: record).first(where: \.keepsPodsFromBeingServed) { return finding }
      if record?.report == nil { return firstPass }
    }
    return nil
  }

  /// Reason why a part has no report yet.
  private var firstPass: Finding {
    Finding(
      "CW-SYS-04", .waiting, failure ?? lease?.state.reason ?? storeFailure ?? "the first pass is under way",
      remedy: "Wait, or correct what the words name.", keepsPodsFromBeingServed: true)
  }

  /// Reason why the last pass of a part failed as a whole, for the first such part.
  var failure: String? { parts.lazy.compactMap { records[$0.name]?.failure }.first }

  /// Reason why pods of this node have no network, as far as known. A store that cannot be read gives none.
  var networkProblem: String? {
    if store?.isConnected == false { return nil }
    if let reason = lease?.state.reason ?? failure { return reason }
    let found = parts.flatMap { $0.findings(of: records[$0.name]) }.filter(\.breaksNetwork)
    if let obstacle = found.first(where: \.keepsPodsFromBeingServed) { return obstacle.words }
    return found.isEmpty ? nil : found.map(\.words).joined(separator: "; ")
  }
}

extension NodePart {
  /// The part's findings now.
  func findings(of record: AgentState.PartRecord?) -> [Finding] { findings(record?.report as? Report) }

  func metrics(of record: AgentState.PartRecord?) -> [Metric] {
    metrics(record?.report as? Report, record?.tally ?? PartTally())
  }

  func json(_ report: (any PartReport)?, of record: AgentState.PartRecord?) -> JSONObject {
    json(report as? Report, record?.tally ?? PartTally())
  }
}

extension [any NodePart] {
  /// The parts in the order of their stages; parts of one stage keep their order.
  package var inStageOrder: [any NodePart] {
    enumerated().sorted { ($0.element.stage, $0.offset) < ($1.element.stage, $1.offset) }.map(\.element)
  }
}
