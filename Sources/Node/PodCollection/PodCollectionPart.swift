internal import Attachments
internal import JSON
package import Linux
package import Parts

/// Pods that the last pass has deleted.
package struct PodCollectionReport: PartReport {
  /// Deletions of the pass.
  package let actions: [Change]
  /// Findings of the pass.
  package let findings: [Finding]
}

/// The deletion of what is left of pods that are gone and that no runtime deletes, as a part of the agent.
///
/// At the start and at intervals it calls the plugin for each of them, with the network configuration of the runtime.
package struct PodCollectionPart: NodePart {
  private let file: String
  private let programs: [String]
  private let binDirectory: String
  private let stateDirectory: String
  private let interval: Duration

  /// Time that one deletion may take.
  private static let limit = Duration.seconds(60)
  private static let plugin = "causeway"

  /// - Parameter configuration: the network configuration that the runtime reads.
  package init(configuration: String, binDirectory: String, stateDirectory: String, interval: Duration) {
    file = configuration
    self.binDirectory = binDirectory
    programs = ["\(binDirectory)/\(PodCollectionPart.plugin)", PodCollectionPart.besideThisProgram].compactMap { $0 }
    self.stateDirectory = stateDirectory
    self.interval = interval
  }

  private static var besideThisProgram: String? {
    guard let path = CurrentProcess.executablePath, let slash = path.lastIndex(of: "/") else { return nil }
    return "\(path[..<slash])/\(plugin)"
  }

  package var name: String { "pods" }
  package var stage: Stage { .extras }
  package var triggers: Set<Trigger> { [] }
  package var pacing: Pacing { Pacing(interval: interval, hasJitter: true) }
  package var startsAtOnce: Bool { true }
  package var isAgentOnly: Bool { true }
  /// DEL asks iptables-legacy for what the reference plugins left there.
  package var capabilities: Capabilities { .openRawSockets }

  package func reconcile(_ view: NodeView, since previous: PodCollectionReport?) throws -> PodCollectionReport {
    var deleted: [Change] = []
    var findings: [Finding] = []
    do {
      try collect(&deleted)
    } catch {
      findings.append(
        Finding(
          "CW-POD-01", .warning, "what is left of pods is not deleted: \(error)",
          remedy: "Correct --cni-bin-dir, or see the plugin's message."))
    }
    return PodCollectionReport(actions: deleted, findings: findings)
  }

  private func collect(_ deleted: inout [Change]) throws {
    // Before the file is in its place there are no pods.
    guard let text = try Files.read(file, limit: 1 << 20) else { return }
    let list = try JSONFields(document: JSONValue(parsing: text), name: file)
    guard let network = try list.string("name") else { return }
    let configurations = try (list.list("plugins") ?? [list]).filter {
      try $0.string("type") == PodCollectionPart.plugin
    }
    guard !configurations.isEmpty else { return }
    let gone = try GoneAttachments(stateDirectory: stateDirectory).find(network: network)
    guard !gone.isEmpty else { return }
    guard let program = programs.first(where: Files.isProgram) else {
      throw PluginFailure(reason: "there is no \(programs.joined(separator: " and no ")): correct --cni-bin-dir")
    }
    var failure: (any Error)?
    // A pass ends in time for the watchdog, whatever each deletion takes; the next one goes on.
    let end = MonotonicTime.now + interval
    for attachment in gone where MonotonicTime.now < end {
      do {
        for configuration in configurations { try delete(attachment, configuration.object, list, program) }
        deleted.append(
          Change(
            "what was left of a pod is deleted",
            [.init("container", attachment.containerID), .init("interface", attachment.interfaceName)]))
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  /// Calls DEL of the plugin as a runtime does for a container whose namespace is gone (SPEC, "DEL").
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
      ], input: Array(JSONValue.object(configuration).text().utf8), limit: PodCollectionPart.limit)
    guard outcome.status == 0 else {
      let answer = (try? JSONValue(parsing: outcome.output))?.object
      throw PluginFailure(
        reason: "\(program) says of container \(attachment.containerID): "
          + (answer?["msg"]?.string ?? "status \(outcome.status)"))
    }
  }
}

/// The plugin is missing, or has answered with an error.
private struct PluginFailure: Error, CustomStringConvertible {
  let reason: String
  var description: String { reason }
}
