internal import Lease
internal import Linux
package import NodeRoutes
internal import Synchronization

/// The nodes of a `nodes.json`, read anew whenever the file changes.
package struct FileNodeStore: NodeStore {
  package var kind: String { "file" }
  /// The path of the file.
  package let source: String

  package init(path: String) {
    source = path
  }

  package func read() async throws -> NodeSnapshot {
    try await onThread { try readFile() }
  }

  private func readFile() throws(NodesFileError) -> NodeSnapshot {
    let identity: FileIdentity?
    let text: [UInt8]?
    do throws(SystemError) {
      // Before the reading: a file that changes in between must look changed to the plugin.
      identity = try Files.identity(source)
      text = try Files.read(source, limit: 64 << 20)
    } catch {
      throw .unreadable(error)
    }
    guard let identity, let text else { throw .absent(file: source) }
    var snapshot = try NodesFile.parse(text, file: source)
    snapshot.mark = NodesFileMark(identity)
    return snapshot
  }

  package func updates() -> AsyncStream<Result<NodeSnapshot, any Error>> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      let isOver = Flag()
      continuation.onTermination = { _ in isOver.raise() }
      do throws(SystemError) {
        try startThread { follow(continuation, until: isOver) }
      } catch {
        continuation.yield(.failure(error))
        continuation.finish()
      }
    }
  }

  /// Runs on a thread of its own, since it waits in the kernel.
  private func follow(
    _ continuation: AsyncStream<Result<NodeSnapshot, any Error>>.Continuation, until isOver: Flag
  ) {
    do throws(SystemError) {
      var watch = try FileWatch(source)
      repeat {
        continuation.yield(Result { try readFile() })
        // The limit finds what no watched directory tells, such as a link changed half-way along the path.
        while try !watch.waitForChange(atMost: .seconds(30)) && !isOver.isRaised {}
      } while !isOver.isRaised
    } catch {
      continuation.yield(.failure(error))
      continuation.finish()
    }
  }
}

/// Raised once, by whoever no longer listens.
private final class Flag: Sendable {
  private let value = Atomic(false)
  var isRaised: Bool { value.load(ordering: .relaxed) }
  func raise() { value.store(true, ordering: .relaxed) }
}
