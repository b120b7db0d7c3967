internal import ArgumentParser
internal import Linux
internal import NodeRoutes

struct CleanCommand: CommandWithOptions {
  static let configuration = CommandConfiguration(
    commandName: "clean",
    abstract: "Remove what the helper made on this node.",
    discussion: "Its routes and next hops, the lease and its copy. Refuses while an agent runs.")

  @OptionGroup var options: Options

  func run() throws {
    let agent = try NodeAgent(options)
    // The lock files stay: whoever waits for one of them would else hold the lock of a file that is no more.
    let lock = try AgentLock.claim(options.stateDir)
    let routes = try agent.reconciler.clean()
    _ = consume lock
    print("routes removed: \(routes); the lease is gone")
  }
}
