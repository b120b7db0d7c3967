internal import Linux
internal import Netlink
internal import NodeRoutes
internal import ServiceLifecycle

/// Hands every snapshot of the store on.
struct StoreFollower: Service {
  let store: any NodeStore
  let news: News
  let state: AgentState

  func run() async throws {
    for await nodes in store.updates().cancelOnGracefulShutdown() {
      state.note(nodes)
      news.put(nodes)
    }
  }
}

/// Says when links, addresses, routes or next hops change, and every 30 seconds in any case. The first word comes when
/// it begins to listen: what changed before that is to be looked at.
struct KernelFollower: Service {
  let news: News

  func run() async throws {
    let changes = try AsyncStream<Result<Void, any Error>>.kernelChanges()
    for await change in changes.cancelOnGracefulShutdown() {
      try change.get()
      news.look()
    }
  }
}

extension AsyncStream where Element == Result<Void, any Error> {
  /// From a thread of its own in this process's namespace; it lives as long as the process.
  fileprivate static func kernelChanges() throws -> Self {
    let (stream, continuation) = makeStream(bufferingPolicy: .bufferingNewest(1))
    try startThread {
      do throws(NetlinkError) {
        var events = try RouteEvents()
        while true {
          if case .terminated = continuation.yield(.success(())) { return }
          _ = try events.waitForChange(atMost: .seconds(30))
        }
      } catch {
        continuation.yield(.failure(error))
      }
    }
    return stream
  }
}
