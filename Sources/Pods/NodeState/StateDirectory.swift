internal import Glibc
package import Linux

/// The directory of the node's volatile state, by default `/run/causeway`.
package struct StateDirectory: Sendable {
  /// The directory's path.
  package let path: String

  /// The state directory at a path; nothing is created yet.
  package init(_ path: String) {
    self.path = path
  }

  /// The path of the lock that an agent holds while it runs.
  package var agentLock: String { "\(path)/agent.lock" }

  /// Takes the shared bridge lock, which an ADD holds while it uses a bridge that may have no port yet.
  ///
  /// - Throws: EWOULDBLOCK if another process holds the exclusive lock for 10 seconds.
  package func useBridge() throws(SystemError) -> FileLock { try bridgeLock(.shared) }

  /// Takes the exclusive bridge lock, which a process holds while it removes a bridge or an address of it.
  ///
  /// - Throws: EWOULDBLOCK at once if an ADD is in progress.
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
