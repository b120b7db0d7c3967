internal import ArgumentParser
internal import Linux
internal import Logging
internal import NodeFastPath
internal import Nodes
internal import ServiceLifecycle
internal import UnixSignals

struct RunCommand: CommandWithOptions {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Keep rules, routes and lease as they must be, until SIGTERM.",
    discussion: "Follows the nodes and the kernel. Rules and routes stay when it stops.")

  @OptionGroup var options: Options

  /// To be called while the process still has all its rights: of some kernels' modules the programs' loader learns only
  /// with them.
  ///
  /// - Returns: what makes this the node's agent: from here on nobody else loads programs, or takes them away.
  func prepare() throws -> FileLock {
    let lock = try AgentLock.claim(options.stateDir)
    if let error = options.fastPathReconciler.prepare(), options.fastPath == .on {
      throw FastPathRefused(reason: error)
    }
    return lock
  }

  /// - Parameter lock: held until it ends.
  func run(holding lock: borrowing FileLock) async throws {
    let agent = try NodeAgent(options)
    let (news, rulesNews, fastPathNews) = (News(), News(), News())
    let state = AgentState(
      agent.keeper == nil ? nil : agent.conditions, placesConfiguration: agent.networkConfiguration != nil)
    // Told apart from the agent's own words: what the group says about its services is for those who look for it.
    var groupLogger = agent.log.logger
    if options.logLevel > .debug { groupLogger.logLevel = .error }
    var services: [any Service] = [
      StoreFollower(agent: agent, readers: [news, rulesNews], state: state),
      RulesKeeper(rules: agent.rules, news: rulesNews, log: agent.log, state: state, routes: news),
      RouteKeeper(agent: agent, news: news, state: state),
    ]
    var listeners: [@Sendable () -> Void] = [{ news.look() }]
    if options.fastPath == .off {
      services.append(FastPathRemover(agent: agent, state: state))
    } else {
      services += [
        FastPathKeeper(agent: agent, news: fastPathNews, state: state), FiltersFollower(news: fastPathNews),
      ]
      state.listen { fastPathNews.look() }
      listeners.append { fastPathNews.look() }
    }
    if let keeper = agent.keeper {
      services.append(KeeperService(keeper: keeper))
      listeners.append { keeper.linksChanged() }
    }
    if let report = agent.reportNetwork { services.append(NetworkReporter(state: state, report: report)) }
    services += [KernelFollower(listeners: listeners), RulesFollower(news: rulesNews, logger: agent.log.logger)]
    if let collector = PodCollector(agent) { services.append(collector) }
    services += HealthServer(agent: agent, state: state).services(logger: groupLogger)
    var configuration = ServiceGroupConfiguration(
      services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
      logger: groupLogger)
    configuration.maximumGracefulShutdownDuration = .seconds(5)
    let group = ServiceGroup(configuration: configuration)
    agent.log.logger.info("started", metadata: ["store": "\(agent.store.source)"])
    try await group.run()
    agent.log.logger.info("stopped; rules and routes stay")
  }
}

/// `--fast-path on` where there can be none.
struct FastPathRefused: Error, CustomStringConvertible {
  let reason: FastPathError

  var description: String { "there is no fast path: \(reason); --fast-path auto does without" }
}
