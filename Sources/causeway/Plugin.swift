internal import CNI
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
      // Who gets no answer must not take it for success: it will DEL.
      CurrentProcess.exit(write(answer) ? 0 : 1)
    } catch {
      _ = write(CNIError(error).text)
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
    if invocation.verb == .version { return try SpecVersion.answer() }
    let network = try NetworkConfiguration(try standardInput(), for: invocation.verb)
    let type = PluginType(programPath: CurrentProcess.programPath, network)
    let result = type == .ipam ? try giveAddress(invocation, network) : try attach(invocation, network, as: type)
    return try result?.text(network.version) ?? ""
  }

  /// The verbs of a plugin that makes interfaces; only ADD has a result.
  private static func attach(
    _ invocation: Invocation, _ network: NetworkConfiguration, as type: PluginType
  ) throws -> AttachmentResult? {
    func configuration() throws -> AttachmentConfiguration {
      let arguments = try Arguments(invocation.arguments, known: ["MAC", "IP"])
      return try AttachmentConfiguration(network, arguments: arguments, as: type)
    }
    switch invocation.verb {
    case .add: return try addAttachment(invocation, configuration())
    case .check: try checkAttachment(invocation, configuration())
    case .delete: try deleteAttachment(invocation, network, as: type)
    case .collect: try collectAttachments(invocation, network, as: type)
    case .status: try reportStatus(invocation, configuration())
    case .version: break
    }
    return nil
  }

  /// The verbs of an IPAM delegate, which another plugin runs; only ADD has a result.
  private static func giveAddress(
    _ invocation: Invocation, _ network: NetworkConfiguration
  ) throws -> AttachmentResult? {
    func ipam() throws -> IPAMRequest {
      try IPAMRequest(network, arguments: Arguments(invocation.arguments, known: ["MAC", "IP"]))
    }
    switch invocation.verb {
    case .add: return try ipam().allocate(invocation)
    case .check: try ipam().check(invocation)
    case .delete: try releaseAddresses(invocation, network)
    case .collect: try collectAddresses(network)
    case .status: try ipam().report()
    case .version: break
    }
    return nil
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

  /// One write to standard output; false where that fails.
  private static func write(_ text: String) -> Bool {
    guard !text.isEmpty else { return true }
    let stdout = OwnedDescriptor(owning: 1)
    return (try? stdout.writeAll(Array(text.utf8), subject: "standard output")) != nil
  }
}
