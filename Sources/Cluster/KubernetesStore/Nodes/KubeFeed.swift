internal import JSON
internal import Linux
internal import Logging
internal import Nodes

/// Keeps a view of Kubernetes current: follows the nodes, and the file with the cluster's network.
struct KubeFeed: Sendable {
  let nodes: KubeNodes
  let view: KubeView
  /// Path of the cluster's `net-conf.json`.
  let configFile: String
  let backends: BackendReader
  let conditions: AgentConditions
  let logger: Logger

  /// Runs until the task is cancelled.
  func run() async {
    await withTaskGroup { group in
      group.addTask { await followNodes() }
      group.addTask {
        let configs = FollowedFile(path: configFile).contents { try KubeFeed.readConfig(configFile, backends) }
        for await config in configs {
          let config = config.mapError { $0 as? KubeError ?? .badConfig(file: configFile, reason: "\($0)") }
          view.update { $0.config = config }
        }
      }
    }
  }

  /// Reads the network configuration. Keys about subnets to claim have no meaning in this store.
  ///
  /// - Throws: `KubeError` if the file is missing or invalid.
  static func readConfig(_ file: String, _ backends: BackendReader) throws(KubeError) -> NetConf {
    do {
      guard let text = try Files.read(file, limit: 1 << 20) else { throw KubeError.noConfig(file: file) }
      let fields = try JSONFields(document: JSONValue(parsing: text), name: "the network configuration")
      return try NetConf(fields, backends)
    } catch let error as KubeError {
      throw error
    } catch {
      throw .badConfig(file: file, reason: "\(error)")
    }
  }

  private func followNodes() async {
    await KubeFollower(
      client: nodes.client, resource: nodes.resource, logger: logger,
      resourceVersion: { view.content.state?.resourceVersion ?? "" }, onUpdate: take
    ).run()
  }

  private func take(_ update: KubeUpdate<KubeNode>) {
    switch update {
    case .list(let state):
      view.update { content in
        content.state = state
        content.failure = nil
      }
      isRead(state.resourceVersion)
    case .watching:
      isRead(view.content.state?.resourceVersion ?? "")
      if view.content.failure != nil { view.update { $0.failure = nil } }
    case .change(let event, let version):
      view.updateWhereNew { $0.state?.apply(event) ?? false }
      isRead(version)
    case .failure(let failure):
      conditions.storeFailed("\(failure)")
      // A failure that repeats itself changes nothing in the view.
      guard view.content.failure != failure else { return }
      view.update { $0.failure = failure }
    }
  }

  private func isRead(_ resourceVersion: String) {
    conditions.storeIsRead(endpoint: nodes.client.source, revision: Int64(resourceVersion))
  }
}
