internal import CNI
internal import Linux
internal import NodeState
internal import PodNetwork

/// The plugin: reads the environment and standard input, does what the verb says, and answers with one write.
@main
enum Plugin {
  static func main() {
    // The reader of the answer may be gone; the clean-up after a failed ADD must still run to its end.
    CurrentProcess.ignoreBrokenPipes()
    CurrentProcess.fillStandardDescriptors()
    guard CurrentProcess.environment("CNI_COMMAND")?.given != nil else {
      StandardError.write(about)
      CurrentProcess.exit(0)
    }
    do throws(PodNetworkError) {
      try answer()
      CurrentProcess.exit(0)
    } catch {
      let text = CNIError(error).text
      do throws(PodNetworkError) { try write(text) } catch { StandardError.write("\(text): \(error)") }
      CurrentProcess.exit(1)
    }
  }

  /// Text for a person who starts the program without CNI_COMMAND.
  private static let about = """
    causeway \(Version.current): a CNI plugin that connects pods to a bridge and gives them addresses of this node's subnet
    CNI protocol versions supported: \(SpecVersion.supported.map { $0.description }.joined(separator: ", "))
    """

  /// The largest configuration that is read, in bytes; real ones have some thousands.
  private static let inputLimit = 1 << 20

  private static func answer() throws(PodNetworkError) {
    let invocation = try fromCNI(Invocation(environment: { CurrentProcess.environment($0) }))
    if invocation.verb == .version { return try write(fromJSON(SpecVersion.answer())) }
    let text = try standardInput()
    let network = try fromCNI(NetworkConfiguration(text, for: invocation.verb))
    let type = PluginType(programPath: CurrentProcess.programPath, network)
    if type == .ipam { try giveAddress(invocation, network) } else { try attach(invocation, network, as: type) }
  }

  /// Runs a verb of a plugin that makes interfaces.
  private static func attach(
    _ invocation: Invocation, _ network: NetworkConfiguration, as type: PluginType
  ) throws(PodNetworkError) {
    func configuration() throws(PodNetworkError) -> AttachmentConfiguration {
      let arguments = try fromCNI(Arguments(invocation.arguments, known: ["MAC", "IP"]))
      return try AttachmentConfiguration(network, arguments: arguments, as: type)
    }
    switch invocation.verb {
    case .add:
      try addAttachment(invocation, configuration()) { result throws(PodNetworkError) in
        try write(fromCNI(result.text(network.version)))
      }
    case .check: try checkAttachment(invocation, configuration())
    case .delete: try deleteAttachment(invocation, network, as: type)
    case .collect: try collectAttachments(invocation, network, as: type)
    case .status: try reportStatus(invocation, configuration())
    case .version: break
    }
  }

  /// Runs a verb of an IPAM delegate, which another plugin starts.
  private static func giveAddress(_ invocation: Invocation, _ network: NetworkConfiguration) throws(PodNetworkError) {
    func ipam() throws(PodNetworkError) -> IPAMRequest {
      try IPAMRequest(network, arguments: fromCNI(Arguments(invocation.arguments, known: ["MAC", "IP"])))
    }
    switch invocation.verb {
    case .add:
      try ipam().allocate(invocation) { result throws(PodNetworkError) in
        try write(fromCNI(result.text(network.version)))
      }
    case .check: try ipam().check(invocation)
    case .delete: try releaseAddresses(invocation, network)
    case .collect: try collectAddresses(network)
    case .status: try ipam().report()
    case .version: break
    }
  }

  private static func standardInput() throws(PodNetworkError) -> [UInt8] {
    let stdin = OwnedDescriptor(owning: 0)
    do throws(SystemError) {
      if let text = try stdin.readAll(limit: inputLimit, subject: "standard input") { return text }
    } catch {
      throw PodNetworkError(.ioFailure, "error reading from stdin: \(error)")
    }
    throw PodNetworkError(
      .ioFailure, "error reading from stdin: more than \(inputLimit) bytes",
      details: "a network configuration has some thousands")
  }

  /// Writes the answer by one system call.
  private static func write(_ text: String) throws(PodNetworkError) {
    let stdout = OwnedDescriptor(owning: 1)
    do throws(SystemError) {
      try stdout.writeAll(Array(text.utf8), subject: "standard output")
    } catch {
      // The descriptor stays open, so that no other file gets its number.
      _ = stdout.release()
      throw .system(error)
    }
  }
}
