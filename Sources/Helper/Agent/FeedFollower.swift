internal import Linux
internal import Logging
internal import Parts
internal import ServiceLifecycle

/// Runs a feed on a thread of its own, and fires its trigger.
struct FeedFollower: Service {
  let feed: Feed
  let board: TriggerBoard
  let logger: Logger

  func run() async throws {
    guard feed.mayFail else { return try await follow(try changes().cancelOnGracefulShutdown()) }
    await cancelWhenGracefulShutdown {
      var failure: String?
      while !Task.isCancelled {
        do {
          try await follow(try changes())
        } catch {
          if failure != "\(error)" { logger.warning("changes of the \(feed.trigger.name) are not seen: \(error)") }
          failure = "\(error)"
        }
        try? await Task.sleep(for: Feed.retryInterval)
        board.fire(feed.trigger)
      }
    }
  }

  private func follow(_ changes: some AsyncSequence<Result<Void, any Error>, Never>) async throws {
    for await change in changes {
      try change.get()
      board.fire(feed.trigger)
    }
  }

  /// The thread is in this process's namespace. It ends soon after the reader of the stream.
  private func changes() throws -> AsyncStream<Result<Void, any Error>> {
    let (stream, continuation) = AsyncStream<Result<Void, any Error>>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let feed = feed
    try startThread {
      do {
        try feed.watch { if case .terminated = continuation.yield(.success(())) { false } else { true } }
      } catch {
        continuation.yield(.failure(error))
      }
    }
    return stream
  }
}
