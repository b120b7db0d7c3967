internal import Logging
internal import Nodes
internal import Parts
internal import ServiceLifecycle
internal import UnixSignals

extension NodeAgent {
  /// Keeps all parts until SIGTERM or SIGINT.
  package func run() async throws {
    let parts = settings.parts
    let state = AgentState(parts, conditions: leaseHolder == nil ? nil : settings.conditions)
    let board = TriggerBoard(parts)
    let watchdog = Watchdog()
    settings.conditions.listen { board.fire(.store) }
    // The group's own messages about its services are for debugging.
    var groupLogger = log.logger
    if log.logger.logLevel > .debug { groupLogger.logLevel = .error }
    var services: [any Service] = [StoreFollower(agent: self, board: board, state: state)]
    for part in parts { services += keepers(of: part, board, state, watchdog) }
    if let leaseHolder {
      services.append(LeaseHolderService(holder: leaseHolder))
      board.listen(.links) { leaseHolder.linksChanged() }
    }
    if let reportNetwork { services.append(NetworkReporter(state: state, report: reportNetwork)) }
    services += HealthServer(agent: self, state: state, watchdog: watchdog).services(logger: groupLogger)
    var configuration = ServiceGroupConfiguration(
      services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
      logger: groupLogger)
    configuration.maximumGracefulShutdownDuration = .seconds(5)
    let group = ServiceGroup(configuration: configuration)
    log.logger.info("started", metadata: ["store": "\(store.source)"])
    try await group.run()
    log.logger.info("stopped; rules and routes stay")
  }

  /// The keeper of a part, and what follows its feeds.
  private func keepers(
    of part: some NodePart, _ board: TriggerBoard, _ state: AgentState, _ watchdog: Watchdog
  ) -> [any Service] {
    guard let trigger = board.trigger(of: part) else { return [] }
    let keeper = PartKeeper(
      part: part, trigger: trigger, board: board, state: state, watchdog: watchdog, log: log)
    return [keeper] + part.feeds.map { FeedFollower(feed: $0, board: board, logger: log.logger) }
  }
}
