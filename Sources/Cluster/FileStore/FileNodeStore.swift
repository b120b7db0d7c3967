internal import Linux
package import Nodes
internal import NodeState

/// Nodes of a `nodes.json`, which is read again whenever it changes.
package struct FileNodeStore: NodeStore {
  package var kind: String { "file" }
  /// Path of the file.
  package let source: String

  private let backends: BackendReader

  package init(path: String, backends: BackendReader) {
    source = path
    self.backends = backends
  }

  package func read() async throws -> NodeSnapshot {
    try await onThread { try readFile() }
  }

  private func readFile() throws(NodesFileError) -> NodeSnapshot {
    let identity: FileIdentity?
    let text: [UInt8]?
    do throws(SystemError) {
      // Asked before the file is read: one that changes in between must look changed to the plugin.
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

  package func updates() -> AsyncStream<Result<NodeSnapshot, any Error>> {
    FollowedFile(path: source).contents { try readFile() }
  }
}
