internal import ArgumentParser
internal import Attachments
internal import Backends
internal import EtcdStore
internal import FileStore
internal import KubernetesStore
internal import Linux
internal import Logging
internal import NodeFastPath
internal import NodeRoutes
internal import NodeRules
internal import Nodes
internal import NodeState
internal import OwnNode

/// What every command is made of: the store, the reconciler, the files and the log, as the options have them.
struct NodeAgent: Sendable {
  let options: Options
  let store: any NodeStore
  let rules: RulesReconciler
  let reconciler: Reconciler
  let files: PublishedLease
  let log: PassLog
  /// What is put in place for the runtime, where that was asked for.
  let networkConfiguration: NetworkConfigurationFile?
  let conditions = AgentConditions()
  /// Where the store gives leases, or is told of this node.
  let keeper: (any LeaseHolder)?
  /// Tells the store whether this node's network is up, where it wants to know.
  let reportNetwork: (@Sendable (NetworkReport) -> Void)?
  let pods: HeldAddresses
  let fastPath: FastPathReconciler
  private let interface: InterfaceSelection

  init(_ options: Options) throws {
    self.options = options
    networkConfiguration = try NodeAgent.networkConfiguration(options)
    log = PassLog(
      logger: Logger(label: "causeway-hostgw") { _ in
        LineLogHandler(options.logFormat, level: options.logLevel)
      })
    files = PublishedLease(
      subnetFile: options.subnetFile, leaseCopy: options.leaseCopy, stateDirectory: options.stateDir)
    let selection = NodeSelection(
      name: NodeAgent.given(options.nodeName), hostName: try Sysctl.read("kernel/hostname") ?? "",
      interface: options.interfaceSelection)
    rules = RulesReconciler(switches: options.ruleSwitches, stateDirectory: options.stateDir)
    reconciler = Reconciler(selection: selection, files: files, switches: options.rules.routeSwitches)
    interface = selection.interface
    fastPath = options.fastPathReconciler
    pods = HeldAddresses(stateDirectory: options.stateDir)
    let addresses: OwnAddresses = { wishes, families, networks, present in
      try await onThread {
        try InterfaceChoice.addresses(
          families, selection.interface, wishes: wishes, clusterNetworks: networks, present: present)
      }
    }
    switch options.store {
    case .file:
      store = FileNodeStore(path: options.nodesFile, backends: BackendList.reader)
      keeper = nil
      reportNetwork = nil
    case .etcd:
      try options.etcd.validateTogether()
      let client = EtcdClient(options.etcd.access)
      let view = EtcdView()
      store = EtcdNodeStore(
        client, view, backends: BackendList.reader, ownAddresses: addresses, conditions: conditions, logger: log.logger)
      let settings = LeaseSettings(
        ttl: options.etcd.subnetLeaseTTL, renewMargin: .seconds(options.etcd.subnetLeaseRenewMargin * 60),
        files: files, hasPods: { [pods] in pods.areIn($0) })
      keeper = EtcdLeaseHolder(
        client, view, settings: settings, ownAddresses: addresses, conditions: conditions, logger: log.logger)
      reportNetwork = nil
    case .kubernetes:
      // Kubelet's names are in lower case.
      let name =
        selection.name ?? NodeAgent.given(CurrentProcess.environment("NODE_NAME")) ?? selection.hostName.lowercased()
      let kubernetes = options.kubernetes
      let nodes = KubeNodes(
        KubeClient(kubernetes.access), annotationPrefix: kubernetes.kubeAnnotationPrefix, ownName: name)
      let view = KubeView(ownName: name)
      store = KubeNodeStore(
        nodes, view, configFile: kubernetes.netConfigPath, backends: BackendList.reader, ownAddresses: addresses,
        conditions: conditions, logger: log.logger)
      let settings = KubeLeaseSettings(
        setsNetworkUnavailable: kubernetes.setNodeNetworkUnavailable,
        files: files, hasPods: { [pods] in pods.areIn($0) })
      let keeper = KubeLeaseHolder(
        nodes, view, settings: settings, ownAddresses: addresses, conditions: conditions, logger: log.logger)
      self.keeper = keeper
      reportNetwork = { keeper.networkIs($0) }
    }
  }

  /// What the agent starts with while a store that gives leases can't be read; `nil` where that is nothing.
  func lastKnownNodes() async -> NodeSnapshot? {
    guard let lease = files.read() else { return nil }
    return try? await onThread { try NodeSnapshot(lastKnown: lease, interface) }
  }

  private static func networkConfiguration(_ options: Options) throws -> NetworkConfigurationFile? {
    switch (given(options.cniConfSource), given(options.cniConfFile)) {
    case (let source?, let file?): return NetworkConfigurationFile(source: source, destination: file)
    case (nil, nil): return nil
    case (_?, nil): throw ValidationError("--cni-conf-source needs --cni-conf-file, the place to put it.")
    case (nil, _?): throw ValidationError("--cni-conf-file needs --cni-conf-source, the file to put there.")
    }
  }

  /// An empty value, such as a variable of a script that is not set, counts as none.
  private static func given(_ text: String?) -> String? {
    text.flatMap { $0.isEmpty ? nil : $0 }
  }
}

extension RulesReconciler {
  func reconcile(_ nodes: NodeSnapshot) -> RulesReport {
    reconcile(networks: nodes.netConf.networks, nodes: nodes.addresses)
  }

  func inspect(_ nodes: NodeSnapshot) -> RulesReport {
    inspect(networks: nodes.netConf.networks, nodes: nodes.addresses)
  }
}
