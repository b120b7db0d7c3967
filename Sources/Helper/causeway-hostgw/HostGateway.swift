internal import ArgumentParser
internal import Linux
internal import NIOCore

/// The command line.
struct HostGateway: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "causeway-hostgw",
    abstract: "Keeps a plain kernel route to every other node's pods.",
    discussion: """
      Every option may also be given as an environment variable (CAUSEWAY_NODES_FILE for --nodes-file) and as a key \
      of the JSON file that --config names; flags win over the environment, the environment over the file.
      """,
    version: version,
    subcommands: [RunCommand.self, SyncCommand.self, CleanCommand.self, StatusCommand.self])
}

/// A command that takes the options.
protocol CommandWithOptions: ParsableCommand {
  var options: Options { get }
}

@main
enum Main {
  static func main() async {
    CurrentProcess.ignoreBrokenPipes()
    CurrentProcess.keepMemorySmall()
    // Sockets and directories get what it leaves: nobody else may connect, all may look.
    CurrentProcess.setCreationMask(0o022)
    // One thread for all connections, of etcd's client and of the servers: there are few. Once anything has used the
    // threads their number can't be changed.
    NIOSingletons.groupLoopCountSuggestion = 1
    NIOSingletons.blockingPoolThreadCountSuggestion = 1
    do {
      let arguments = try OptionSources.arguments(
        Array(CommandLine.arguments.dropFirst()), environment: CurrentProcess.environment, readFile: readFile)
      var command = try HostGateway.parseAsRoot(arguments)
      if let run = command as? RunCommand {
        let lock = try run.prepare()
        // The other commands end soon, and what they are for takes more.
        try CurrentProcess.keepOnly(run.options.capabilities)
        try await run.run(holding: lock)
      } else if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      HostGateway.exit(withError: error)
    }
  }

  private static func readFile(_ path: String) throws -> [UInt8] {
    let limit = 1 << 20
    if path == "-" {
      // Not by the name /dev/stdin: to open a pipe anew without waiting is to read nothing yet.
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
