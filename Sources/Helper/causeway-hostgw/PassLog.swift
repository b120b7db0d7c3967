internal import Addresses
internal import Logging
internal import NodeFastPath
internal import NodeRoutes
internal import NodeRules
internal import Nodes
internal import NodeState
internal import OwnNode

/// Tells what a pass did and what stands in the way: at `info` and above only where something has changed.
struct PassLog: Sendable {
  let logger: Logger
  /// So many lines of a kind are read by people; of more only the number is told, and each at `debug`.
  private static let readable = 20

  init(logger: Logger) {
    self.logger = logger
  }

  /// - Parameter previous: the pass before, whose troubles are known.
  func tell(_ report: Reconciler.Report, previous: Reconciler.Report? = nil) {
    tell(report.changes)
    let known = Set(previous?.peers.compactMap(Trouble.init) ?? [])
    let troubles = report.peers.compactMap(Trouble.init).filter { !known.contains($0) }
    let level = troubles.count > PassLog.readable ? Logger.Level.debug : .warning
    for trouble in troubles {
      logger.log(
        level: level, "no route: \(trouble.reason)",
        metadata: ["node": "\(trouble.node)", "subnet": "\(trouble.subnet)"])
    }
    if level == .debug { logger.warning("no route to \(troubles.count) subnets; see causeway-hostgw status") }
    tell(report.problems + report.warnings, since: previous.map { $0.problems + $0.warnings } ?? [])
    if report.isNewLease, let lease = report.lease {
      logger.info(
        "lease written",
        metadata: [
          "node": "\(report.own.node.name)",
          "subnet": "\(lease.subnets.map(\.description).joined(separator: ","))",
          "mtu": "\(lease.mtuBytes)",
        ])
    }
  }

  /// The same of a look at the rules.
  func tell(_ rules: RulesReport, previous: RulesReport? = nil) {
    for change in rules.changes {
      logger.info("\(change.verb.rawValue)", metadata: ["rules": "\(change.subject)"])
    }
    tell(rules.problems + rules.warnings, since: previous.map { $0.problems + $0.warnings } ?? [])
  }

  /// The same of a look at the fast path.
  func tell(_ report: FastPathReport, previous: FastPathReport? = nil) {
    if report.state != previous?.state {
      switch report.state {
      case .off: break
      // Of one command of many nothing is told where all is as it was.
      case .on where previous == nil && report.changes.isEmpty: break
      case .on(let knowledge, let reason):
        logger.info("fast path: flows are known by \(knowledge.rawValue)\(reason.map { ": \($0)" } ?? "")")
      case .unavailable(let reason): logger.warning("no fast path, everything goes the ordinary way: \(reason)")
      }
    }
    for (verb, changes) in Dictionary(grouping: report.changes, by: \.verb).sorted(by: {
      $0.key.rawValue < $1.key.rawValue
    }) {
      let level = changes.count > PassLog.readable ? Logger.Level.debug : .info
      for change in changes { logger.log(level: level, "\(verb.rawValue)", metadata: ["what": "\(change.subject)"]) }
      if level == .debug { logger.info("\(verb.rawValue), \(changes.count) times") }
    }
    tell(report.problems, since: previous?.problems ?? [])
  }

  private func tell(_ problems: [String], since told: [String]) {
    let problems = problems.filter { !told.contains($0) }
    for problem in problems.prefix(PassLog.readable) { logger.warning("\(problem)") }
    if problems.count > PassLog.readable {
      logger.warning("and \(problems.count - PassLog.readable) more of that kind")
    }
  }

  private func tell(_ changes: [RouteChange]) {
    for (verb, changes) in Dictionary(grouping: changes, by: \.verb).sorted(by: {
      $0.key.rawValue < $1.key.rawValue
    }) {
      let level = changes.count > PassLog.readable ? Logger.Level.debug : .info
      for change in changes {
        var metadata: Logger.Metadata = [:]
        metadata["node"] = change.node.map { "\($0)" }
        metadata["subnet"] = change.subnet.map { "\($0)" }
        metadata["via"] = change.gateway.map { "\($0)" }
        metadata["dev"] = change.link.map { "\($0)" }
        logger.log(level: level, "\(verb.rawValue)", metadata: metadata)
      }
      if level == .debug { logger.info("\(verb.rawValue), \(changes.count) times") }
    }
  }
}

/// Why a node's pods can't be reached in one family.
private struct Trouble: Hashable {
  let node: String
  let subnet: IPPrefix
  let reason: String

  init?(_ peer: PeerRoute) {
    guard let subnet = peer.subnet, let reason = peer.reason else { return nil }
    node = peer.node
    self.subnet = subnet
    self.reason = reason
  }
}
