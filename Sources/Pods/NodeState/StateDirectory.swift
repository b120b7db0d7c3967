internal import Glibc
package import Linux

/// The node's volatile state, `/run/causeway`.
package struct StateDirectory: Sendable {
  package let path: String

  package init(_ path: String) {
    self.path = path
  }

  /// The lock that an agent holds for as long as it runs.
  package var agentLock: String { "\(path)/agent.lock" }

  /// Held by an ADD while it uses a bridge that might not have a port yet.
  package func useBridge() throws(SystemError) -> FileLock { try bridgeLock(.shared) }

  /// Held by whoever removes a bridge or an address of it; fails at once while an ADD is under way.
  package func claimBridge() throws(SystemError) -> FileLock { try bridgeLock(.exclusive) }

  private func bridgeLock(_ mode: FileLock.Mode) throws(SystemError) -> FileLock {
    let file = "\(path)/bridge.lock"
    let limit: Duration = mode == .shared ? .seconds(10) : .zero
    do throws(SystemError) {
      return try FileLock(file, mode, waitingAtMost: limit)
    } catch {
      guard error.errno == ENOENT else { throw error }
      try Files.makeDirectory(path)
      return try FileLock(file, mode, waitingAtMost: limit)
    }
  }
}
