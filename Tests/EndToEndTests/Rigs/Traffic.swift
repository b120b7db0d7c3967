import Testing
import TestSupport

/// Traffic of a node's pods (`traffic/traffic.py`). Every byte that comes back is compared with what was sent.
struct Traffic {
  let node: TestNode
  let pod: String

  /// The command that runs the script in the pod.
  private func command(_ arguments: [String]) -> [String] {
    ["ip", "netns", "exec", pod, "python3", "\(Binaries.packageRoot)/Tests/EndToEndTests/Rigs/traffic/traffic.py"]
      + arguments
  }

  /// Runs the script to its end.
  func run(_ arguments: String...) throws -> CommandResult { try run(arguments) }

  func run(_ arguments: [String]) throws -> CommandResult { try node.run(command(arguments), limit: .seconds(150)) }

  /// Runs another command in the pod.
  func run(command: [String]) throws -> CommandResult { try node.run(inPod: pod, command) }

  /// Starts the script, for tests that read its output and end it by SIGTERM.
  func start(_ arguments: String...) throws -> RunningProgram { try node.start(command(arguments)) }

  /// Starts a TCP transfer without end, with pauses that leave the processor to others.
  func startTransfer(to host: String, _ more: String...) throws -> RunningProgram {
    try node.start(command(["tcp", host, "--pause", "0.02"] + more))
  }

  /// Starts a server, and waits until it answers.
  func serve(name: String, port: Int = 80) throws -> RunningProgram {
    let server = try start("serve", "--name", name, "--port", "\(port)")
    let isReady = eventually(within: .seconds(60)) { server.output.contains("ready") }
    try #require(isReady, "\(server.output)")
    return server
  }
}

/// A running flood or transfer.
extension RunningProgram {
  /// How much has come back unchanged: datagrams of a flood, bytes of a transfer.
  var soFar: Int {
    let words = "so far "
    let line = output.split(separator: "\n").last { $0.hasPrefix(words) }
    return line.flatMap { Int($0.dropFirst(words.count)) } ?? 0
  }

  /// Waits until more than `number` has come back since this call.
  func waitForMore(than number: Int = 0) throws {
    let before = soFar
    let hasMore = eventually(within: .seconds(120)) { soFar > before + number || !isRunning }
    try #require(hasMore && isRunning, "\(output)")
  }

  /// Ends a transfer, and waits until lost packets are sent again and all bytes have come back.
  func endTransfer() throws {
    signal(15)
    #expect(try exitStatus(within: .seconds(120)) == 0, "\(output)")
    #expect(output.contains("complete"), "\(output)")
  }
}
