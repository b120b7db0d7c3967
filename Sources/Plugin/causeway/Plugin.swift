internal import CNI
internal import Linux
internal import PodNetwork

/// The plugin: read the environment and standard input, do what the verb says, answer with one write, go.
@main
enum Plugin {
  static func main() {
    // Whoever reads the answer may be gone; that is no reason to die in the middle of cleaning up.
    CurrentProcess.ignoreBrokenPipes()
    CurrentProcess.fillStandardDescriptors()
    guard let command = CurrentProcess.environment("CNI_COMMAND"), !command.isEmpty else {
      StandardError.write(about)
      CurrentProcess.exit(0)
    }
    do {
      try answer()
      CurrentProcess.exit(0)
    } catch {
      let text = CNIError(error).text
      do { try write(text) } catch { StandardError.write("\(text): \(error)") }
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

  private static func answer() throws {
    let invocation = try Invocation(environment: CurrentProcess.environment)
    if invocation.verb == .version { return try write(SpecVersion.answer()) }
    let network = try NetworkConfiguration(try standardInput(), for: invocation.verb)
    let type = PluginType(programPath: CurrentProcess.programPath, network)
    if type == .ipam { try giveAddress(invocation, network) } else { try attach(invocation, network, as: type) }
  }

  /// The verbs of a plugin that makes interfaces.
  private static func attach(
    _ invocation: Invocation, _ network: NetworkConfiguration, as type: PluginType
  ) throws {
    func configuration() throws -> AttachmentConfiguration {
      let arguments = try Arguments(invocation.arguments, known: ["MAC", "IP"])
      return try AttachmentConfiguration(network, arguments: arguments, as: type)
    }
    switch invocation.verb {
    case .add: try addAttachment(invocation, configuration()) { try write($0.text(network.version)) }
    case .check: try checkAttachment(invocation, configuration())
    case .delete: try deleteAttachment(invocation, network, as: type)
    case .collect: try collectAttachments(invocation, network, as: type)
    case .status: try reportStatus(invocation, configuration())
    case .version: break
    }
  }

  /// The verbs of an IPAM delegate, which another plugin runs.
  private static func giveAddress(_ invocation: Invocation, _ network: NetworkConfiguration) throws {
    func ipam() throws -> IPAMRequest {
      try IPAMRequest(network, arguments: Arguments(invocation.arguments, known: ["MAC", "IP"]))
    }
    switch invocation.verb {
    case .add: try ipam().allocate(invocation) { try write($0.text(network.version)) }
    case .check: try ipam().check(invocation)
    case .delete: try releaseAddresses(invocation, network)
    case .collect: try collectAddresses(network)
    case .status: try ipam().report()
    case .version: break
    }
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

  /// The answer, in one write.
  private static func write(_ text: String) throws(SystemError) {
    let stdout = OwnedDescriptor(owning: 1)
    do throws(SystemError) {
      try stdout.writeAll(Array(text.utf8), subject: "standard output")
    } catch {
      // It stays open, so that no other file gets its number.
      _ = stdout.release()
      throw error
    }
  }
}
