internal import Linux
internal import NodeFastPath
internal import NodeRoutes
internal import NodeRules
internal import Nodes
internal import Synchronization

/// What the agent knows and has done: its services write it, `status`, metrics and readiness read it.
final class AgentState: Sendable {
  struct Facts: Sendable {
    /// Since the epoch.
    let start: Duration
    /// The last pass that came to its end, and the nodes that it was made of.
    var report: Reconciler.Report?
    var snapshot: NodeSnapshot?
    /// The last look at the rules.
    var rules: RulesReport?
    /// Whether the rules were once as they must be.
    var wereRulesIn = false
    /// The last look at the fast path; `nil` where none is wanted.
    var fastPath: FastPathReport?
    /// How many things of it were put right.
    var fastPathRepairs = 0
    /// Why the last pass failed as a whole; `nil` where it came to its end.
    var failure: String?
    /// Why the nodes can't be read; `nil` where they can.
    var storeFailure: String?
    /// Why the runtime's network configuration is not in its place; `nil` where it is, or where none was asked for.
    var configurationObstacle: String?
    /// How it stands with a store that is spoken to, and with the lease in it; `nil` for other stores.
    var store: AgentConditions.Store?
    var lease: AgentConditions.Lease?
    var failedPasses = 0
    var passDurations = DurationHistogram()
    /// How many things were put right that somebody or something had changed.
    var repairs = 0
    /// How many of the rules.
    var ruleRepairs = 0
    /// The last of them, the newest first.
    var lastRepairs: [Repair] = []
  }

  /// Something that was put right: a route, or rules.
  struct Repair: Sendable {
    /// Since the epoch.
    let time: Duration
    let what: String
    let route: RouteChange?
    /// The table or chain, in the words of `nft`.
    let rules: String?

    init(time: Duration, _ change: RouteChange) {
      self.time = time
      what = change.verb.rawValue
      route = change
      rules = nil
    }

    init(time: Duration, _ change: RuleChange) {
      self.time = time
      what = change.verb.rawValue
      route = nil
      rules = change.subject
    }
  }

  /// How many repairs are remembered.
  fileprivate static let remembered = 20

  private let facts: Mutex<Facts>

  private let conditions: AgentConditions?
  private let listeners = Mutex<[@Sendable () -> Void]>([])

  /// - Parameters:
  ///   - conditions: of a store that is spoken to and gives leases.
  ///   - placesConfiguration: whether the runtime's network configuration must come to its place.
  init(_ conditions: AgentConditions?, placesConfiguration: Bool) {
    self.conditions = conditions
    var facts = Facts(start: MonotonicTime.sinceEpoch)
    if placesConfiguration { facts.configurationObstacle = "the network configuration is not in its place yet" }
    self.facts = Mutex(facts)
  }

  var now: Facts {
    var facts = facts.withLock { $0 }
    facts.store = conditions?.store
    facts.lease = conditions?.lease
    return facts
  }

  /// Calls `listener` whenever the network may be up or down; it must be quick.
  func listen(_ listener: @escaping @Sendable () -> Void) {
    listeners.withLock { $0.append(listener) }
    conditions?.listen(listener)
    listener()
  }

  private func tellListeners() {
    for listener in listeners.withLock({ $0 }) { listener() }
  }

  /// The nodes were read, or can't be.
  func note(_ nodes: Result<NodeSnapshot, any Error>) {
    let failure: String? = if case .failure(let error) = nodes { "\(error)" } else { nil }
    facts.withLock { $0.storeFailure = failure }
  }

  /// A pass came to its end.
  ///
  /// - Parameter isRepair: whether the nodes were the same as before, so that what it changed was a repair.
  func note(_ report: Reconciler.Report, _ snapshot: NodeSnapshot, isRepair: Bool, took duration: Duration) {
    facts.withLock { facts in
      facts.passDurations.observe(duration)
      if isRepair, facts.report != nil {
        facts.repairs += report.changes.count
        let time = MonotonicTime.sinceEpoch
        facts.remember(report.changes.prefix(AgentState.remembered).map { Repair(time: time, $0) })
      }
      facts.report = report
      facts.snapshot = snapshot
      facts.failure = nil
    }
    tellListeners()
  }

  /// The rules were looked at. What had to be put right after the first time was a repair.
  func note(_ rules: RulesReport) {
    facts.withLock { facts in
      let repairs = rules.changes.filter {
        $0.verb == .repaired || (facts.rules != nil && $0.verb == .acceptInserted)
      }
      facts.ruleRepairs += repairs.count
      let time = MonotonicTime.sinceEpoch
      facts.remember(repairs.map { Repair(time: time, $0) })
      facts.rules = rules
      if !rules.hasFailed { facts.wereRulesIn = true }
    }
    tellListeners()
  }

  /// The fast path was looked at; `nil`: there is nothing of it to tell of any more. Listeners are not told: no pod hangs on
  /// it, and it is looked at when they are.
  func note(_ fastPath: FastPathReport?) {
    facts.withLock { facts in
      if let fastPath, let previous = facts.fastPath { facts.fastPathRepairs += fastPath.repairs(since: previous) }
      facts.fastPath = fastPath
    }
  }

  /// A pass failed as a whole.
  func note(failure: String, took duration: Duration) {
    facts.withLock { facts in
      facts.passDurations.observe(duration)
      facts.failedPasses += 1
      facts.failure = failure
    }
    tellListeners()
  }

  /// Whether the runtime's network configuration is in its place.
  func note(configurationObstacle: String?) {
    facts.withLock { $0.configurationObstacle = configurationObstacle }
    tellListeners()
  }
}

extension AgentState.Facts {
  fileprivate mutating func remember(_ repairs: [AgentState.Repair]) {
    if !repairs.isEmpty { lastRepairs = Array((repairs + lastRepairs).prefix(AgentState.remembered)) }
  }

  /// What must come before pods can be served, in the order in which it comes; empty: the node is ready.
  ///
  /// A node that can't be reached is told by its state and keeps nobody else waiting; rules that were in once and can't be
  /// put right now are told as a problem.
  var obstacles: [String] {
    if let rulesObstacle { return [rulesObstacle] }
    guard let report else {
      return [failure ?? lease?.state.reason ?? storeFailure ?? "the first pass is under way"]
    }
    if let leaseObstacle { return [leaseObstacle] }
    // The store has given one, but no pass has written it.
    if report.lease == nil { return ["this node's lease is not written yet"] }
    return [configurationObstacle].compactMap { $0 }
  }

  /// Why pods of this node have no network, as far as that is known; a store that can't be read says nothing about it.
  var networkProblem: String? {
    if store?.isConnected == false { return nil }
    if let reason = lease?.state.reason ?? failure ?? rulesObstacle { return reason }
    guard let rules, !rules.problems.isEmpty else { return nil }
    return rules.problems.joined(separator: "; ")
  }

  private var rulesObstacle: String? {
    guard let rules, !wereRulesIn else { return nil }
    return "the rules are not in: " + rules.problems.joined(separator: "; ")
  }

  private var leaseObstacle: String? {
    switch lease?.state {
    case nil, .held, .unconfirmed: nil
    case .some(.none): "the store has not given this node a lease yet"
    case .lost(let reason), .refused(let reason): reason
    }
  }
}

extension AgentConditions.Lease.State {
  /// One word.
  var name: String {
    switch self {
    case .none: "none"
    case .held: "held"
    case .unconfirmed: "unconfirmed"
    case .lost: "lost"
    case .refused: "refused"
    }
  }

  var reason: String? {
    switch self {
    case .none, .held: nil
    case .unconfirmed(let reason), .lost(let reason), .refused(let reason): reason
    }
  }
}

/// How often something took how long, as Prometheus counts it.
struct DurationHistogram: Sendable {
  /// The buckets' upper bounds, in seconds.
  static let bounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
  /// How many were at most as long as the bound of the same place.
  private(set) var counts = Array(repeating: 0, count: DurationHistogram.bounds.count)
  private(set) var count = 0
  /// In seconds.
  private(set) var sum = 0.0

  mutating func observe(_ duration: Duration) {
    let seconds = duration.seconds
    for (index, bound) in DurationHistogram.bounds.enumerated() where seconds <= bound { counts[index] += 1 }
    count += 1
    sum += seconds
  }
}

extension Duration {
  /// In seconds.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
