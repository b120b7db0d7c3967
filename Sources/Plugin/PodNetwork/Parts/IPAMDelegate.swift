internal import CNI
internal import Glibc
internal import JSON
internal import Linux

/// Another plugin that gives the addresses: run as SPEC's section 4 says, with our environment and configuration.
struct IPAMDelegate: Sendable {
  /// `ipam.type`, a program in CNI_PATH.
  let type: String
  private let configuration: [UInt8]
  private let version: SpecVersion

  /// Limit for one run: dhcp asks a server, and runtimes give up after some minutes.
  private static let limit = Duration.seconds(120)

  init(type: String, _ network: NetworkConfiguration) throws(PodNetworkError) {
    guard PluginType(rawValue: type) == nil else {
      throw PodNetworkError(
        .invalidConfiguration, "ipam.type \"\(type)\" makes interfaces and gives no addresses",
        details: "use \"host-local\", \"causeway\" or another IPAM plugin")
    }
    guard !type.contains("/") else {
      throw PodNetworkError(
        .invalidConfiguration, "invalid plugin name: ipam.type \"\(type)\"", details: "name a program in CNI_PATH")
    }
    self.type = type
    configuration = Array(try fromJSON(JSONValue.object(network.fields.object).text()).utf8)
    version = network.version
  }

  /// Addresses, routes and name servers for the pod.
  func add(_ searchPath: [String]) throws(PodNetworkError) -> AttachmentResult {
    let output = try run(.add, searchPath)
    let result: AttachmentResult
    do throws(JSONError) {
      result = try AttachmentResult(JSONFields(document: JSONValue(parsing: output), name: "it"), version: version)
    } catch {
      throw PodNetworkError(.decodingFailure, "cannot read the result of the IPAM plugin \"\(type)\": \(error)")
    }
    guard !result.ips.isEmpty else {
      throw PodNetworkError(.failed, "IPAM plugin returned missing IP config", details: "ipam.type is \"\(type)\"")
    }
    return result
  }

  /// Runs another verb, and throws the delegate's own error if it fails.
  func call(_ verb: Verb, _ searchPath: [String]) throws(PodNetworkError) {
    _ = try run(verb, searchPath)
  }

  private func run(_ verb: Verb, _ searchPath: [String]) throws(PodNetworkError) -> [UInt8] {
    guard let program = program(searchPath) else {
      throw PodNetworkError(
        .invalidConfiguration, "failed to find plugin \"\(type)\" in path [\(searchPath.joined(separator: " "))]",
        details: "install it there, or change ipam.type")
    }
    let environment =
      try fromSystem(CurrentProcess.environment()).filter { !$0.hasPrefix("CNI_COMMAND=") } + [
        "CNI_COMMAND=\(verb.rawValue)"
      ]
    let outcome = try start(program, environment)
    guard outcome.status != 0 else { return outcome.output }
    if let json = try? JSONValue(parsing: outcome.output), let error = CNIError(json) { throw .cni(error) }
    throw PodNetworkError(.failed, "netplugin failed: \(type) ended with \(outcome.status)")
  }

  /// Runs the program. While an installation writes it, the kernel refuses (ETXTBSY), and the run is repeated.
  private func start(_ program: String, _ environment: [String]) throws(PodNetworkError) -> Program.Outcome {
    let deadline = MonotonicTime.now + .seconds(5)
    while true {
      do throws(SystemError) {
        return try Program.run(
          program, [], environment: environment, input: configuration, limit: IPAMDelegate.limit)
      } catch {
        guard error.errno == ETXTBSY, MonotonicTime.now < deadline else { throw .system(error) }
      }
      MonotonicTime.sleep(.milliseconds(20))
    }
  }

  private func program(_ searchPath: [String]) -> String? {
    searchPath.map { "\($0)/\(type)" }.first { Files.isProgram($0) }
  }

  /// DEL: frees the addresses, if the program is there.
  ///
  /// - Returns: the delegate's error, if it failed.
  func release(_ searchPath: [String]) -> PodNetworkError? {
    guard program(searchPath) != nil else {
      StandardError.write("ipam.type \"\(type)\" is not in CNI_PATH: there is nothing to release by it")
      return nil
    }
    do throws(PodNetworkError) {
      _ = try run(.delete, searchPath)
      return nil
    } catch {
      return error
    }
  }
}
