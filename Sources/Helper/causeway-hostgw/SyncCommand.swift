internal import ArgumentParser
internal import NodeFastPath
internal import NodeRoutes
internal import NodeRules
internal import Nodes

struct SyncCommand: AsyncParsableCommand, CommandWithOptions {
  static let configuration = CommandConfiguration(
    commandName: "sync",
    abstract: "Bring rules, routes and lease up to date once.",
    discussion:
      "Exits with 0 only if all rules and every wanted route are in the kernel. Prints one line for each node.")

  @OptionGroup var options: Options

  func run() async throws {
    guard options.store == .file else {
      throw ValidationError(
        "sync works with --store file only: a lease of \(options.store.rawValue) must be renewed, which an agent does; "
          + "use causeway-hostgw run.")
    }
    let agent = try NodeAgent(options)
    let (rules, report, fastPath) = try await AgentLock.taking(turnIn: options.stateDir) {
      let nodes = try await agent.store.read()
      let rules = agent.rules.reconcile(nodes)
      agent.log.tell(rules)
      let report = try agent.reconciler.reconcile(nodes)
      return (rules, report, agent.keepFastPath(report))
    }
    agent.log.tell(report)
    agent.log.tell(fastPath)
    print(ReportText.lines(report, rules).joined(separator: "\n"))
    if options.fastPath == .on, let reason = fastPath.unavailability {
      throw FastPathRefused(reason: FastPathError(reason))
    }
    // `auto` is content with less, but not with programs that should be gone.
    if fastPath.leavesBehind || (options.fastPath == .on && !fastPath.problems.isEmpty) { throw ExitCode.failure }
    if !report.isSettled || !rules.problems.isEmpty { throw ExitCode.failure }
  }
}
