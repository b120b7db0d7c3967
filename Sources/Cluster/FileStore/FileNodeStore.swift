internal import Linux
package import Nodes
internal import NodeState

/// Store of nodes in a nodes file, which is read again whenever it changes.
package struct FileNodeStore: NodeStore {
  /// Name of the store on the command line.
  package var kind: String { "file" }
  /// Path of the file.
  package let source: String

  private let backends: BackendReader

  /// Makes the store of a file.
  ///
  /// - Parameter backends: reads the backend of the network configuration.
  package init(path: String, backends: BackendReader) {
    source = path
    self.backends = backends
  }

  /// Reads the file.
  ///
  /// - Throws: `NodesFileError`.
  package func read() async throws -> NodeSnapshot {
    try await onThread { try readFile() }
  }

  private func readFile() throws(NodesFileError) -> NodeSnapshot {
    let identity: FileIdentity?
    let text: [UInt8]?
    do throws(SystemError) {
      // Before the content: the plugin must notice a file that changes in between.
      identity = try Files.identity(source)
      text = try Files.read(source, limit: 64 << 20)
    } catch {
      throw .unreadable(error)
    }
    guard let identity, let text else { throw .absent(file: source) }
    var snapshot = try NodesFile.parse(text, file: source, backends)
    snapshot.mark = NodesFileMark(identity)
    return snapshot
  }

  /// Content of the file, now and after each change.
  package func updates() -> AsyncStream<Result<NodeSnapshot, any Error>> {
    FollowedFile(path: source).contents { try readFile() }
  }
}
