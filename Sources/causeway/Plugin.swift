internal import CNI
internal import JSON
internal import Linux
internal import PodNetwork

/// The plugin: read the environment and standard input, do what the verb says, answer with one write, go.
@main
enum Plugin {
  static func main() {
    // Whoever reads the answer may be gone; that is no reason to die in the middle of cleaning up.
    CurrentProcess.ignoreBrokenPipes()
    guard let command = CurrentProcess.environment("CNI_COMMAND"), !command.isEmpty else {
      StandardError.write(about)
      CurrentProcess.exit(0)
    }
    do {
      let answer = try answer()
      write(answer)
      CurrentProcess.exit(0)
    } catch {
      write((try? CNIError(error).json.text(.indented(4))) ?? "")
      CurrentProcess.exit(1)
    }
  }

  /// What a person who starts the program without CNI_COMMAND reads.
  private static let about = """
    causeway: a CNI plugin that cables pods to a bridge and gives them addresses of this node's subnet
    CNI protocol versions supported: \(SpecVersion.supported.map(\.description).joined(separator: ", "))
    """

  /// The largest configuration that is read, in bytes; real ones have some thousands.
  private static let inputLimit = 1 << 20

  private static func answer() throws -> String {
    let invocation = try Invocation(environment: CurrentProcess.environment)
    if invocation.verb == .version { return try versions().text() + "\n" }
    let network = try NetworkConfiguration(try standardInput(), for: invocation.verb)
    switch invocation.verb {
    case .add:
      let result = try addAttachment(invocation, try configuration(invocation, network))
      return try result.json(network.version).text(.indented(4))
    case .check: try checkAttachment(invocation, try configuration(invocation, network))
    case .delete: try deleteAttachment(invocation, network)
    case .collect: try collectAttachments(network)
    case .status: try reportStatus(invocation, try configuration(invocation, network))
    case .version: break
    }
    return ""
  }

  private static func configuration(
    _ invocation: Invocation, _ network: NetworkConfiguration
  ) throws -> AttachmentConfiguration {
    let arguments = try Arguments(invocation.arguments, known: ["MAC", "IP"])
    return try AttachmentConfiguration(network, arguments: arguments)
  }

  private static func standardInput() throws -> [UInt8] {
    let stdin = OwnedDescriptor(owning: 0)
    do throws(SystemError) {
      if let text = try stdin.readAll(limit: inputLimit, subject: "standard input") { return text }
    } catch {
      throw CNIError(.ioFailure, "error reading from stdin: \(error)")
    }
    throw CNIError(
      .ioFailure, "error reading from stdin: more than \(inputLimit) bytes",
      details: "a network configuration has some thousands")
  }

  private static func versions() -> JSONValue {
    [
      "cniVersion": .string(SpecVersion.current.description),
      "supportedVersions": .array(SpecVersion.supported.map { .string($0.description) }),
    ]
  }

  private static func write(_ text: String) {
    guard !text.isEmpty else { return }
    let stdout = OwnedDescriptor(owning: 1)
    try? stdout.writeAll(Array(text.utf8), subject: "standard output")
  }
}
