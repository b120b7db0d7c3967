internal import Agent
internal import ArgumentParser
internal import AsyncHTTPClient
internal import JSON
internal import Linux
internal import NIOCore

struct StatusCommand: AsyncParsableCommand, CommandWithOptions {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show this node's view: lease, nodes, next hops, state and reason.",
    discussion: """
      Asks the agent if one runs, else the store and the kernel. Exits with 1 if the nodes can't be read or this \
      machine is none of them. Changes nothing.
      """)

  @OptionGroup var options: Options

  @Flag(help: "Show JSON, for programs.")
  var json = false

  func run() async throws {
    let settings = try options.settings()
    let object: JSONObject
    if let answer = await StatusCommand.askAgent(options.stateDir) {
      object = answer
    } else {
      object = await StatusView(NodeAgent(settings)).object
    }
    if json {
      print(try JSONValue.object(object).text(.indented(2)))
    } else {
      let isColored = CurrentProcess.writesToTerminal && CurrentProcess.environment("NO_COLOR") == nil
      print(StatusText(object, settings.parts.inStageOrder, isColored: isColored).lines.joined(separator: "\n"))
    }
    if object["node"] == .null { throw ExitCode.failure }
  }

  /// Returns the agent's answer; `nil` if none answers.
  private static func askAgent(_ stateDirectory: String) async -> JSONObject? {
    let path = HealthServer.socketPath(stateDirectory)
    guard (try? Files.identity(path)) != nil else { return nil }
    let host = path.utf8.map { byte in
      let isPlain = (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
      return isPlain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
    let limit = 64 << 20
    guard
      let response = try? await HTTPClient.shared.execute(
        HTTPClientRequest(url: "http+unix://\(host)/status"), timeout: .seconds(10)),
      let body = try? await response.body.collect(upTo: limit),
      let view = (try? JSONValue(parsing: Array(body.readableBytesView)))?.object,
      // An error of the server is JSON, too.
      view["agentRunning"] == true
    else { return nil }
    return view
  }
}
