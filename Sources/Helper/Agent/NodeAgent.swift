internal import Attachments
internal import Backends
internal import EtcdStore
internal import FileStore
internal import KubernetesStore
internal import Linux
internal import Logging
package import Nodes
internal import NodeState
internal import OwnNode
internal import Parts

/// The agent, or what a command needs of it: the store, the parts and the log.
package struct NodeAgent: Sendable {
  /// Settings of the agent.
  package let settings: AgentSettings
  /// Store that the nodes come from.
  package let store: any NodeStore
  /// Log of the parts' changes.
  package let log: PassLog
  /// Keeps this node's record in a store that gives leases, or that wants to know of this node.
  let leaseHolder: (any LeaseHolder)?
  /// Reports to a store that wants to know whether this node's network is up.
  let reportNetwork: (@Sendable (NetworkReport) -> Void)?

  package init(_ settings: AgentSettings) {
    self.settings = settings
    log = PassLog(logger: settings.logger)
    let (conditions, files, logger) = (settings.conditions, settings.files, settings.logger)
    let interface = settings.selection.interface
    let pods = HeldAddresses(stateDirectory: files.stateDirectory)
    let addresses: OwnAddresses = { wishes, families, networks, present in
      try await onThread {
        try InterfaceChoice.addresses(
          families, interface, wishes: wishes, clusterNetworks: networks, present: present)
      }
    }
    switch settings.store {
    case .file(let path):
      store = FileNodeStore(path: path, backends: BackendList.reader)
      leaseHolder = nil
      reportNetwork = nil
    case .etcd(let access, let ttl, let renewMargin):
      let client = EtcdClient(access)
      let view = EtcdView()
      store = EtcdNodeStore(
        client, view, backends: BackendList.reader, ownAddresses: addresses, conditions: conditions, logger: logger)
      leaseHolder = EtcdLeaseHolder(
        client, view,
        settings: LeaseSettings(ttl: ttl, renewMargin: renewMargin, files: files, hasPods: { pods.areIn($0) }),
        ownAddresses: addresses, conditions: conditions, logger: logger)
      reportNetwork = nil
    case .kubernetes(let access, let prefix, let configPath, let name, let setsCondition):
      let nodes = KubeNodes(KubeClient(access), annotationPrefix: prefix, ownName: name)
      let view = KubeView(ownName: name)
      store = KubeNodeStore(
        nodes, view, configFile: configPath, backends: BackendList.reader, ownAddresses: addresses,
        conditions: conditions, logger: logger)
      let leaseHolder = KubeLeaseHolder(
        nodes, view,
        settings: KubeLeaseSettings(
          setsNetworkUnavailable: setsCondition, files: files, hasPods: { pods.areIn($0) }),
        ownAddresses: addresses, conditions: conditions, logger: logger)
      self.leaseHolder = leaseHolder
      reportNetwork = { leaseHolder.networkIs($0) }
    }
  }

  /// Nodes that the agent starts with while a store that gives leases cannot be read; `nil` if nothing is known.
  func lastKnownNodes() async -> NodeSnapshot? {
    guard let lease = settings.files.read() else { return nil }
    let interface = settings.selection.interface
    return try? await onThread { try NodeSnapshot(lastKnown: lease, interface) }
  }
}
