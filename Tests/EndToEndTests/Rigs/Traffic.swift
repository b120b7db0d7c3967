import Testing
import TestSupport

/// Traffic of a node's pods (`traffic/traffic.py`): every byte that comes back is compared with what was sent.
struct Traffic {
  let node: TestNode
  let pod: String

  /// The command that runs it in the pod.
  private func command(_ arguments: [String]) -> [String] {
    ["ip", "netns", "exec", pod, "python3", "\(Binaries.packageRoot)/Tests/EndToEndTests/Rigs/traffic/traffic.py"]
      + arguments
  }

  /// Runs it to its end.
  func run(_ arguments: String...) throws -> CommandResult { try run(arguments) }

  func run(_ arguments: [String]) throws -> CommandResult { try node.run(command(arguments), limit: .seconds(150)) }

  /// Runs another command in the pod.
  func run(command: [String]) throws -> CommandResult { try node.run(inPod: pod, command) }

  /// Begins it, for a test that looks at its output and ends it by SIGTERM.
  func start(_ arguments: String...) throws -> RunningProgram { try node.start(command(arguments)) }

  /// Begins a TCP transfer that goes on until somebody ends it, and leaves the machine to others now and then.
  func startTransfer(to host: String, _ more: String...) throws -> RunningProgram {
    try node.start(command(["tcp", host, "--pause", "0.02"] + more))
  }

  /// A server, when it can be asked.
  func serve(name: String, port: Int = 80) throws -> RunningProgram {
    let server = try start("serve", "--name", name, "--port", "\(port)")
    let isReady = eventually(within: .seconds(60)) { server.output.contains("ready") }
    try #require(isReady, "\(server.output)")
    return server
  }
}

/// A flood or a transfer that goes on.
extension RunningProgram {
  /// How much has come back, each byte right: datagrams of a flood, bytes of a transfer.
  var soFar: Int {
    let words = "so far "
    let line = output.split(separator: "\n").last { $0.hasPrefix(words) }
    return line.flatMap { Int($0.dropFirst(words.count)) } ?? 0
  }

  /// Waits until more than this has come back after what came until now.
  func waitForMore(than number: Int = 0) throws {
    let before = soFar
    let came = eventually(within: .seconds(120)) { soFar > before + number || !isRunning }
    try #require(came && isRunning, "\(output)")
  }

  /// Lets a transfer come to its end, for which it may have to send again what was lost on the way.
  func endTransfer() throws {
    signal(15)
    #expect(try exitStatus(within: .seconds(120)) == 0, "\(output)")
    #expect(output.contains("complete"), "\(output)")
  }
}
