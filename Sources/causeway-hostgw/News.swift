internal import NodeRoutes
internal import Synchronization

/// What the followers tell the keeper: the newest nodes, and that it is time to look again, at the rules too or not. However much comes while
/// the keeper is at work, one more look suffices.
final class News: Sendable {
  /// One element for any number of calls of `look` and `put` since the last one was taken.
  let wakeUps: AsyncStream<Void>
  private let wakeUp: AsyncStream<Void>.Continuation
  private let newest = Mutex<Result<NodeSnapshot, any Error>?>(nil)
  private let rulesMayDiffer = Mutex(true)

  init() {
    (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// The nodes have changed, or can't be read.
  func put(_ nodes: Result<NodeSnapshot, any Error>) {
    newest.withLock { $0 = nodes }
    look()
  }

  /// Something may have changed.
  func look() {
    wakeUp.yield()
  }

  /// Something may have changed, and it may be the rules.
  func lookAtRules() {
    rulesMayDiffer.withLock { $0 = true }
    look()
  }

  /// Whether `lookAtRules` was called since the last call, or this is the first one.
  func takeRules() -> Bool {
    rulesMayDiffer.withLock { mayDiffer in
      defer { mayDiffer = false }
      return mayDiffer
    }
  }

  /// What `put` brought since the last call; `nil` for nothing.
  func take() -> Result<NodeSnapshot, any Error>? {
    newest.withLock { newest in
      defer { newest = nil }
      return newest
    }
  }
}
