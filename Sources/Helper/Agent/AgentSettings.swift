package import EtcdStore
package import KubernetesStore
package import Linux
package import Logging
package import Nodes
package import NodeState
package import OwnNode
package import Parts

/// Settings of an agent, and of commands that do a part of its work.
package struct AgentSettings: Sendable {
  /// Source of the nodes.
  package enum Store: Sendable {
    /// - Parameter path: of the nodes file.
    case file(path: String)
    case etcd(EtcdAccess, ttl: Duration, renewMargin: Duration)
    /// - Parameter ownName: this node's name in Kubernetes.
    case kubernetes(
      KubeAccessSource, annotationPrefix: String, netConfigPath: String, ownName: String,
      setsNetworkUnavailable: Bool)
  }

  /// Source of the nodes.
  package let store: Store
  /// Selection of the node that this machine is.
  package let selection: NodeSelection
  /// Files in which the helper writes the lease for the plugin.
  package let files: PublishedLease
  /// The state of a store that gives leases.
  package let conditions: AgentConditions
  /// Parts of the agent.
  package let parts: [any NodePart]
  /// Address of the HTTP server.
  package let healthAddress: String
  /// 0 for no server.
  package let healthPort: Int
  /// Logger of the agent.
  package let logger: Logger

  package init(
    store: Store, selection: NodeSelection, files: PublishedLease, conditions: AgentConditions,
    parts: [any NodePart], healthAddress: String, healthPort: Int, logger: Logger
  ) {
    self.store = store
    self.selection = selection
    self.files = files
    self.conditions = conditions
    self.parts = parts
    self.healthAddress = healthAddress
    self.healthPort = healthPort
    self.logger = logger
  }

  /// Capabilities of root that the agent keeps for all its life.
  package var capabilities: Capabilities {
    // Directories and keys may be another user's: kubespray makes CNI's directories for kube, etcd's keys are etcd's.
    var kept: Capabilities = [.administerNetwork, .overrideFileModes]
    if (1..<1024).contains(healthPort) { kept.insert(.bindLowPorts) }
    for part in parts { kept.formUnion(part.capabilities) }
    return kept
  }

  /// Makes this process the node's agent, and prepares its parts while the process has all its capabilities.
  ///
  /// - Returns: the lock, to be held as long as the agent runs.
  package func prepare() throws -> FileLock {
    let lock = try AgentLock.claim(files.stateDirectory)
    for part in parts { try part.prepare() }
    return lock
  }
}
