internal import Nodes
internal import Synchronization

/// What the followers tell the keepers of routes and rules: the newest nodes, and that it is time to look at the kernel
/// again. However much comes while a keeper is at work, one more look suffices.
final class News: Sendable {
  /// What there is for one keeper since it last asked.
  struct Content {
    /// The newest nodes; `nil` where none have come.
    var nodes: NodeSnapshot?
    /// Why no newer ones can be read; `nil` where they can.
    var failure: (any Error)?
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
    content.withLock { content in
      switch nodes {
      case .success(let nodes): (content.nodes, content.failure) = (nodes, nil)
      // What came before it and nobody has taken is still the newest.
      case .failure(let error): content.failure = error
      }
    }
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
      defer { content = Content(kernelMayDiffer: false) }
      return content
    }
  }
}
