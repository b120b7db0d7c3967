internal import Attachments
internal import JSON
internal import Linux
internal import Logging
internal import Nodes
internal import ServiceLifecycle

/// Deletes what is left of pods that are no more and that no runtime asks to delete: at the start and now and then it
/// calls the plugin, with the network configuration that was put in place, for each of them.
struct PodCollector: Service {
  private let file: String
  private let programs: [String]
  private let binDirectory: String
  private let stateDirectory: String
  private let interval: Duration
  private let logger: Logger

  /// How long one deletion may take.
  private static let limit = Duration.seconds(60)

  /// `nil` where no network configuration is put in place, or nothing shall be deleted.
  init?(_ agent: NodeAgent) {
    let options = agent.options
    guard let configuration = agent.networkConfiguration, options.collectsPods else { return nil }
    file = configuration.destination
    binDirectory = options.cniBinDir
    programs = ["\(options.cniBinDir)/\(PodCollector.plugin)", PodCollector.besideThisProgram].compactMap { $0 }
    stateDirectory = options.stateDir
    interval = options.gcInterval
    logger = agent.log.logger
  }

  private static let plugin = "causeway"

  private static var besideThisProgram: String? {
    guard let path = CurrentProcess.executablePath, let slash = path.lastIndex(of: "/") else { return nil }
    return "\(path[..<slash])/\(plugin)"
  }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      var trouble: String?
      while !Task.isCancelled {
        do {
          try await onThread { try collect() }
          trouble = nil
        } catch {
          if trouble != "\(error)" { logger.warning("what is left of pods is not deleted: \(error)") }
          trouble = "\(error)"
        }
        try? await Task.sleep(for: interval * Double.random(in: 0.8...1))
      }
    }
  }

  private func collect() throws {
    // At the start it may not be in its place yet; then there are no pods.
    guard let text = try Files.read(file, limit: 1 << 20) else { return }
    let list = try JSONFields(document: JSONValue(parsing: text), name: file)
    guard let network = try list.string("name") else { return }
    let configurations = try (list.list("plugins") ?? [list]).filter { try $0.string("type") == PodCollector.plugin }
    guard !configurations.isEmpty else { return }
    let gone = try GoneAttachments(stateDirectory: stateDirectory).find(network: network)
    guard !gone.isEmpty else { return }
    guard let program = programs.first(where: Files.isProgram) else {
      throw PluginTrouble(reason: "there is no \(programs.joined(separator: " and no ")): correct --cni-bin-dir")
    }
    var failure: (any Error)?
    for attachment in gone {
      do {
        for configuration in configurations { try delete(attachment, configuration.object, list, program) }
        logger.info(
          "what was left of a pod is deleted",
          metadata: ["container": "\(attachment.containerID)", "interface": "\(attachment.interfaceName)"])
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  /// DEL of the plugin, as a runtime calls it for a container whose namespace is no more (SPEC, "DEL").
  private func delete(
    _ attachment: Attachment, _ plugin: JSONObject, _ list: JSONFields, _ program: String
  ) throws {
    var configuration = plugin
    configuration["name"] = .string(attachment.network)
    configuration["cniVersion"] = list.object["cniVersion"]
    let outcome = try Program.run(
      program, [],
      environment: [
        "CNI_COMMAND=DEL", "CNI_CONTAINERID=\(attachment.containerID)", "CNI_IFNAME=\(attachment.interfaceName)",
        "CNI_NETNS=", "CNI_PATH=\(binDirectory)", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
      ], input: Array(JSONValue.object(configuration).text().utf8), limit: PodCollector.limit)
    guard outcome.status == 0 else {
      let answer = (try? JSONValue(parsing: outcome.output))?.object
      throw PluginTrouble(
        reason: "\(program) says of container \(attachment.containerID): "
          + (answer?["msg"]?.string ?? "status \(outcome.status)"))
    }
  }
}

/// The plugin is not there, or says no.
private struct PluginTrouble: Error, CustomStringConvertible {
  let reason: String
  var description: String { reason }
}
