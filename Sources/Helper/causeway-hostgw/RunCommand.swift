internal import Agent
internal import ArgumentParser
internal import Linux

struct RunCommand: CommandWithOptions {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Keep rules, routes and lease as they must be, until SIGTERM.",
    discussion: "Follows the nodes and the kernel. Rules and routes stay when it stops.")

  @OptionGroup var options: Options

  /// - Parameter lock: of the node's agent; held until the agent ends.
  func run(_ settings: AgentSettings, holding lock: borrowing FileLock) async throws {
    try await NodeAgent(settings).run()
  }
}
