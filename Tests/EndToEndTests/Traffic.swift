import TestSupport
import Testing

/// Traffic of a node's pods (`traffic/traffic.py`): every byte that comes back is compared with what was sent.
struct Traffic {
  let node: TestNode
  let pod: String

  /// The command that runs it in the pod.
  private func command(_ arguments: [String]) -> [String] {
    ["ip", "netns", "exec", pod, "python3", "\(Binaries.packageRoot)/Tests/EndToEndTests/traffic/traffic.py"]
      + arguments
  }

  /// Runs it to its end.
  func run(_ arguments: String...) throws -> CommandResult { try run(arguments) }

  func run(_ arguments: [String]) throws -> CommandResult { try node.run(command(arguments), limit: .seconds(150)) }

  /// Runs another command in the pod.
  func run(command: [String]) throws -> CommandResult { try node.run(inPod: pod, command) }

  /// Begins it, for a test that looks at its output and ends it by SIGTERM.
  func start(_ arguments: String...) throws -> RunningProgram { try node.start(command(arguments)) }

  /// A server, when it can be asked.
  func serve(name: String, port: Int = 80) throws -> RunningProgram {
    let server = try start("serve", "--name", name, "--port", "\(port)")
    let isReady = eventually(within: .seconds(60)) { server.output.contains("ready") }
    try #require(isReady, "\(server.output)")
    return server
  }
}

extension RunningProgram {
  /// The number behind the last of these words that it has written so far.
  func number(behind words: String) -> Int? {
    let line = output.split(separator: "\n").last { $0.hasPrefix(words) }
    return line.flatMap { Int($0.dropFirst(words.count).split(separator: " ")[0]) }
  }

  /// Waits until that number is larger than this one.
  func waitFor(_ words: String, beyond number: Int) throws {
    let came = eventually(within: .seconds(120)) { (self.number(behind: words) ?? -1) > number || !isRunning }
    try #require(came && isRunning, "\(output)")
  }
}
