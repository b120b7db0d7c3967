internal import JSON
internal import Linux
internal import Logging
internal import Nodes
internal import StoreTransport
internal import Synchronization

/// Keeps a view of Kubernetes up to date: lists all nodes, then watches, from where the last watch ended as long as the
/// server can tell what has happened since; and follows the file with the cluster's network.
struct KubeFeed: Sendable {
  let client: KubeClient
  let view: KubeView
  /// The cluster's `net-conf.json`.
  let configFile: String
  let backends: BackendReader
  let conditions: AgentConditions
  let logger: Logger

  /// Until the task is cancelled.
  func run() async {
    await withTaskGroup { group in
      group.addTask { await followNodes() }
      group.addTask {
        for await config in FollowedFile(path: configFile).contents({ try KubeFeed.readConfig(configFile, backends) }
        ) {
          let config = config.mapError { $0 as? KubeError ?? .badConfig(file: configFile, reason: "\($0)") }
          view.update { $0.config = config }
        }
      }
    }
  }

  /// Of the file only what is flannel's in this mode counts: not which subnets there are to claim.
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
    // A list is much work for a server, and one that is slow to fail has too much of it already.
    var afterFailure = BackOff(longest: .seconds(30))
    // Whatever ends a watch at once would end the next one too.
    var afterWatch = BackOff()
    var mustList = true
    // How many watches the server has refused since the last list.
    var refusals = 0
    while !Task.isCancelled {
      let start = Mutex<Duration?>(nil)
      do {
        if mustList {
          try await list()
          refusals = 0
        }
        mustList = false
        try await watch { start.withLock { $0 = MonotonicTime.now } }
      } catch {
        if Task.isCancelled { return }
        let isLost = (error as? KubeError)?.needsNewList ?? false
        if isLost || start.withLock({ $0 }) != nil {
          logger.info("\(isLost ? "the nodes are listed anew" : "the watch is begun anew"): \(error)")
          mustList = mustList || isLost
        } else {
          fail(error)
        }
        // Whatever is wrong with going on from there: some proxies and restored servers say it in their own words.
        if (error as? KubeError)?.refusesWatch ?? false { refusals += 1 }
        if refusals > 2 { mustList = true }
      }
      guard let start = start.withLock({ $0 }) else {
        try? await Task.sleep(for: afterFailure.next())
        continue
      }
      refusals = 0
      afterFailure.reset()
      if MonotonicTime.now - start > .seconds(5) { afterWatch.reset() }
      try? await Task.sleep(for: afterWatch.next())
    }
  }

  private func list() async throws {
    let state = try await client.list()
    view.update { content in
      content.state = state
      content.failure = nil
    }
    conditions.storeIsRead(endpoint: client.source, revision: Int64(state.resourceVersion))
  }

  /// Watches until the server ends that; `onStart` is told when it has agreed.
  private func watch(onStart: @Sendable () -> Void) async throws {
    let version = view.content.state?.resourceVersion ?? ""
    try await client.watch(
      from: version,
      onStart: {
        onStart()
        conditions.storeIsRead(endpoint: client.source, revision: Int64(version))
        if view.content.failure != nil { view.update { $0.failure = nil } }
      },
      onEvent: { event in
        switch event {
        case .expired: throw KubeError.expired(endpoint: client.source)
        case .failure(let status, let reason):
          throw KubeError.watchFailed(endpoint: client.source, status: status, reason: reason)
        case .present(_, let version), .gone(_, let version), .bookmark(let version):
          view.updateWhereNew { $0.state?.apply(event) ?? false }
          conditions.storeIsRead(endpoint: client.source, revision: Int64(version))
        }
      })
  }

  private func fail(_ error: any Error) {
    let failure = error as? KubeError ?? .badAnswer(endpoint: client.source, reason: "\(error)")
    conditions.storeFailed("\(failure)")
    // The same trouble again is no news.
    guard view.content.failure != failure else { return }
    view.update { $0.failure = failure }
  }
}
