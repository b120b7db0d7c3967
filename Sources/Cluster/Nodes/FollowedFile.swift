internal import Linux
internal import Synchronization

/// File that is read again whenever it changes.
package struct FollowedFile: Sendable {
  let path: String

  package init(path: String) {
    self.path = path
  }

  /// Returns results of `read` now and after each change, the newest only. The file is followed on a thread of its own,
  /// since that blocks in the kernel.
  package func contents<Value: Sendable>(
    _ read: @escaping @Sendable () throws -> Value
  ) -> AsyncStream<Result<Value, any Error>> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      let isOver = Flag()
      continuation.onTermination = { _ in isOver.raise() }
      do throws(SystemError) {
        try startThread { follow(continuation, until: isOver, read) }
      } catch {
        continuation.yield(.failure(error))
        continuation.finish()
      }
    }
  }

  private func follow<Value: Sendable>(
    _ continuation: AsyncStream<Result<Value, any Error>>.Continuation, until isOver: Flag, _ read: () throws -> Value
  ) {
    do throws(SystemError) {
      var watch = try FileWatch(path)
      repeat {
        continuation.yield(Result { try read() })
        // The limit finds changes that no watched directory reports, such as a link in the middle of the path.
        while try !watch.waitForChange(atMost: .seconds(30)) && !isOver.isRaised {}
      } while !isOver.isRaised
    } catch {
      continuation.yield(.failure(error))
      continuation.finish()
    }
  }
}

/// Raised once, when the reader stops.
private final class Flag: Sendable {
  private let value = Atomic(false)
  var isRaised: Bool { value.load(ordering: .relaxed) }
  func raise() { value.store(true, ordering: .relaxed) }
}
