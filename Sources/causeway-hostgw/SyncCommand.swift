internal import ArgumentParser
internal import NodeRoutes

struct SyncCommand: CommandWithOptions {
  static let configuration = CommandConfiguration(
    commandName: "sync",
    abstract: "Bring rules, routes and lease up to date once.",
    discussion:
      "Exits with 0 only if all rules and every wanted route are in the kernel. Prints one line for each node.")

  @OptionGroup var options: Options

  func run() throws {
    let agent = try NodeAgent(options)
    let report = try AgentLock.taking(turnIn: options.stateDir) {
      try agent.reconciler.reconcile(agent.store.read())
    }
    agent.log.tell(report)
    print(ReportText.lines(report).joined(separator: "\n"))
    if !report.isSettled { throw ExitCode.failure }
  }
}
