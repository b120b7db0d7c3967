internal import Linux
internal import Logging
internal import StoreTransport
internal import Synchronization

/// News of a followed resource.
enum KubeUpdate<Object: KubeObject>: Sendable {
  /// All objects; they replace what was known before.
  case list(KubeObjects<Object>)
  /// The server has accepted a watch from the latest known version: what is known is current.
  case watching
  /// One change since, or a bookmark; with the version that is known then.
  case change(KubeEvent<Object>, resourceVersion: String)
  /// The API cannot be read.
  case failure(KubeError)
}

/// Follows one resource: lists its objects, then watches them. A watch that ends is resumed at the latest known
/// version, as long as the server still has the changes since that version.
struct KubeFollower<Object: KubeObject>: Sendable {
  let client: KubeClient
  let resource: KubeResource<Object>
  let logger: Logger
  /// Latest version that `onUpdate` has taken over; the next watch starts there.
  let resourceVersion: @Sendable () -> String
  /// Takes over what is new, in order.
  let onUpdate: @Sendable (KubeUpdate<Object>) -> Void

  /// Refused watches after which the resource is listed again.
  private static var mostRefusals: Int { 2 }

  /// Runs until the task is cancelled.
  func run() async {
    // A list is expensive for a server, and a server that fails slowly is overloaded already.
    var afterFailure = BackOff(longest: .seconds(30))
    // A watch that ends at once would do so again.
    var afterWatch = BackOff()
    var mustList = true
    // Watches that the server has refused since the last list.
    var refusals = 0
    while !Task.isCancelled {
      let start = Mutex<Duration?>(nil)
      do {
        if mustList {
          onUpdate(.list(try await client.list(resource)))
          refusals = 0
        }
        mustList = false
        try await watch { start.withLock { $0 = MonotonicTime.now } }
      } catch {
        if Task.isCancelled { return }
        let isLost = (error as? KubeError)?.needsNewList ?? false
        if isLost || start.withLock({ $0 }) != nil {
          logger.info("\(isLost ? "the \(resource.name) are listed again" : "the watch is started again"): \(error)")
          mustList = mustList || isLost
        } else {
          onUpdate(.failure(error as? KubeError ?? .badAnswer(endpoint: client.source, reason: "\(error)")))
        }
        // Some proxies and restored servers report an unusable version by other codes than 410.
        if (error as? KubeError)?.refusesWatch ?? false { refusals += 1 }
        if refusals > KubeFollower.mostRefusals { mustList = true }
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

  /// Watches until the server ends the watch; calls `onStart` when the server has accepted it.
  private func watch(onStart: @Sendable () -> Void) async throws {
    try await client.watch(
      resource, from: resourceVersion(),
      onStart: {
        onStart()
        onUpdate(.watching)
      },
      onEvent: { event in
        switch event {
        case .expired: throw KubeError.expired(endpoint: client.source)
        case .failure(let status, let reason):
          throw KubeError.watchFailed(endpoint: client.source, status: status, reason: reason)
        case .present(_, let version), .deleted(_, let version), .bookmark(let version):
          onUpdate(.change(event, resourceVersion: version))
        }
      })
  }
}
