internal import NodeRoutes
internal import Synchronization

/// What the followers tell the keepers of routes and rules: the newest nodes, and that it is time to look at the kernel
/// again. However much comes while a keeper is at work, one more look suffices.
final class News: Sendable {
  /// What there is for one keeper since it last asked.
  struct Content {
    /// The newest nodes, or why they can't be read; `nil` where nothing has come.
    var nodes: Result<NodeSnapshot, any Error>?
    /// The nodes for a keeper that knows none, as this node itself has them.
    var lastKnown: NodeSnapshot?
    /// Whether the kernel may have changed.
    var kernelMayDiffer = true
  }

  /// One element for any number of calls since the last one was taken.
  let wakeUps: AsyncStream<Void>
  private let wakeUp: AsyncStream<Void>.Continuation
  private let content = Mutex(Content())

  init() {
    (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// The nodes have changed, or can't be read.
  func put(_ nodes: Result<NodeSnapshot, any Error>) {
    content.withLock { $0.nodes = nodes }
    wakeUp.yield()
  }

  /// The nodes can't be read, but these are known.
  func start(with nodes: NodeSnapshot) {
    content.withLock { $0.lastKnown = nodes }
    wakeUp.yield()
  }

  /// The kernel may have changed.
  func look() {
    content.withLock { $0.kernelMayDiffer = true }
    wakeUp.yield()
  }

  /// Nothing is new, but it is time for what was put off.
  func remind() {
    wakeUp.yield()
  }

  func take() -> Content {
    content.withLock { content in
      defer { content = Content(nodes: nil, kernelMayDiffer: false) }
      return content
    }
  }
}
