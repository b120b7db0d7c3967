internal import Agent
internal import ArgumentParser
internal import Parts

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
    let pass = try await NodeAgent(options.settings()).makePass()
    print(pass.lines.joined(separator: "\n"))
    switch pass.failure {
    case nil: break
    case is NotSettled: throw ExitCode.failure
    case let failure?: throw failure
    }
  }
}
