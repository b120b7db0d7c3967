internal import Agent
internal import ArgumentParser
internal import Linux
internal import NIOCore
internal import NodeState

/// The command line.
struct HostGatewayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "causeway-hostgw",
    abstract: "Keeps a plain kernel route to every other node's pods.",
    discussion: """
      Every option may also be given as an environment variable (CAUSEWAY_NODES_FILE for --nodes-file) and as a key \
      of the JSON file that --config names; flags win over the environment, the environment over the file.
      """,
    version: Version.current,
    subcommands: [RunCommand.self, SyncCommand.self, CleanCommand.self, StatusCommand.self])
}

/// A command with options.
protocol CommandWithOptions: ParsableCommand {
  var options: Options { get }
}

@main
enum Main {
  static func main() async {
    CurrentProcess.ignoreBrokenPipes()
    CurrentProcess.keepMemorySmall()
    // Others may read the sockets and directories that this process makes, and may not write to them.
    CurrentProcess.setCreationMask(0o022)
    // One thread is enough for the few connections of the stores' clients and of the servers. The number cannot be
    // changed after the first use.
    NIOSingletons.groupLoopCountSuggestion = 1
    NIOSingletons.blockingPoolThreadCountSuggestion = 1
    do {
      let arguments = try OptionSources.arguments(
        Array(CommandLine.arguments.dropFirst()), environment: CurrentProcess.environment, readFile: readFile)
      var command = try HostGatewayCommand.parseAsRoot(arguments)
      if let run = command as? RunCommand {
        let settings = try run.options.settings(isAgent: true)
        let lock = try settings.prepare()
        // The other commands end soon, and need more capabilities.
        try CurrentProcess.keepOnly(settings.capabilities)
        try await run.run(settings, holding: lock)
      } else if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      HostGatewayCommand.exit(withError: error)
    }
  }

  private static func readFile(_ path: String) throws -> [UInt8] {
    let limit = 1 << 20
    if path == "-" {
      // The path /dev/stdin would open a pipe anew, without waiting, and nothing would be read yet.
      guard let content = try OwnedDescriptor(owning: 0).readAll(limit: limit, subject: "standard input") else {
        throw ValidationError("--config: standard input is longer than 1 MiB.")
      }
      return content
    }
    guard let content = try Files.read(path, limit: limit) else {
      throw ValidationError("--config: \(path) does not exist.")
    }
    return content
  }
}
