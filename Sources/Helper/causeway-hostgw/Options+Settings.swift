internal import Agent
internal import ArgumentParser
internal import Linux
internal import Logging
internal import NodeFastPath
internal import NodeLease
internal import NodeRoutes
internal import NodeRules
internal import Nodes
internal import NodeState
internal import OwnNode
internal import Parts

extension Options {
  /// Settings of the commands.
  ///
  /// - Parameter isAgent: whether the command keeps a lease in the store.
  func settings(isAgent: Bool = false) throws -> AgentSettings {
    let selection = NodeSelection(
      name: nodeName?.given, hostName: try Sysctl.read("kernel/hostname") ?? "", interface: interfaceSelection)
    let files = PublishedLease(subnetFile: subnetFile, leaseCopy: leaseCopy, stateDirectory: stateDir)
    let conditions = AgentConditions()
    return AgentSettings(
      store: try storeSettings(selection), selection: selection, files: files, conditions: conditions,
      parts: try parts(selection, files, isAgent && store != .file ? conditions : nil),
      healthAddress: healthzIp, healthPort: healthzPort,
      logger: Logger(label: "causeway-hostgw") { _ in LineLogHandler(logFormat, level: logLevel) })
  }

  /// All parts of the agent.
  ///
  /// - Parameter conditions: of a store that gives leases, in an agent.
  private func parts(
    _ selection: NodeSelection, _ files: PublishedLease, _ conditions: AgentConditions?
  ) throws -> [any NodePart] {
    let all: [(any NodePart)?] = [
      RulesPart(switches: ruleSwitches, stateDirectory: stateDir),
      RoutesPart(selection: selection, switches: rules.routeSwitches),
      LeasePart(files: files, conditions: conditions),
      try runtime.conflist(),
      fastPath.part(stateDirectory: stateDir),
      runtime.podCollection(stateDirectory: stateDir),
    ]
    return all.compactMap { $0 }
  }

  /// With the fast path conntrack must see all packets.
  private var ruleSwitches: RuleSwitches { rules.ruleSwitches(tracks: fastPath.fastPath != .off) }

  private func storeSettings(_ selection: NodeSelection) throws -> AgentSettings.Store {
    switch store {
    case .file: return .file(path: nodesFile)
    case .etcd:
      try etcd.validateTogether()
      return .etcd(
        etcd.access, ttl: etcd.subnetLeaseTTL, renewMargin: .seconds(etcd.subnetLeaseRenewMargin * 60))
    case .kubernetes:
      // Kubelet writes names in lower case.
      let name =
        selection.name ?? CurrentProcess.environment("NODE_NAME")?.given ?? selection.hostName.lowercased()
      return .kubernetes(
        kubernetes.access, annotationPrefix: kubernetes.kubeAnnotationPrefix,
        netConfigPath: kubernetes.netConfigPath, ownName: name,
        setsNetworkUnavailable: kubernetes.setNodeNetworkUnavailable)
    }
  }
}
