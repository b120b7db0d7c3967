package import Logging
package import Parts

/// Logs what passes did and found: at `info` and above only what has changed since the pass before.
package struct PassLog: Sendable {
  /// Logger that the changes are written to.
  package let logger: Logger
  /// More than this many events of one kind are logged as a count at `info` and one by one at `debug`.
  private static let readable = 20

  package init(logger: Logger) {
    self.logger = logger
  }

  /// Logs the changes of a pass.
  package func write(_ changes: [Change]) {
    for (verb, changes) in Dictionary(grouping: changes, by: \.verb).sorted(by: { $0.key < $1.key }) {
      let level = changes.count > PassLog.readable ? Logger.Level.debug : .info
      for change in changes { logger.log(level: level, "\(verb)", metadata: metadata(change.subject)) }
      if level == .debug { logger.info("\(verb), \(changes.count) times") }
    }
  }

  /// Logs the findings that the pass before did not have.
  ///
  /// - Parameter known: the findings of the pass before.
  package func write(_ findings: [Finding], since known: [Finding] = []) {
    let known = Set(known)
    let fresh = findings.filter { $0.severity != .waiting && !known.contains($0) }
    let peers = fresh.filter { !$0.subject.isEmpty }
    let level = peers.count > PassLog.readable ? Logger.Level.debug : .warning
    for finding in peers { logger.log(level: level, "\(finding.words)", metadata: metadata(finding.subject)) }
    if level == .debug { logger.warning("no route to \(peers.count) subnets; see causeway-hostgw status") }
    let own = fresh.filter(\.subject.isEmpty)
    for finding in own.prefix(PassLog.readable) {
      logger.log(level: finding.keepsPodsFromBeingServed ? .error : .warning, "\(finding.words)")
    }
    if own.count > PassLog.readable { logger.warning("and \(own.count - PassLog.readable) more of that kind") }
  }

  private func metadata(_ subject: [Change.Field]) -> Logger.Metadata {
    var metadata: Logger.Metadata = [:]
    for field in subject { metadata[field.key.logName] = "\(field.value)" }
    return metadata
  }
}
