internal import Glibc
package import Linux
internal import NodeState

/// The right to change this node's routes, which one agent has, or one `sync` after the other.
package enum AgentLock {
  private static let limit = Duration.seconds(30)

  /// Path of the lock that a running agent holds.
  package static func agentPath(_ stateDirectory: String) -> String { StateDirectory(stateDirectory).agentLock }

  private static func syncPath(_ stateDirectory: String) -> String { "\(stateDirectory)/sync.lock" }

  /// Takes the lock that an agent holds as long as it runs.
  ///
  /// - Throws: `LockError.agentRuns` at once if another agent has it. A `sync`, or a process that only checks the lock,
  ///   holds it for a moment, shared: the function waits for these.
  package static func claim(_ stateDirectory: String) throws -> FileLock {
    try Files.makeDirectory(stateDirectory)
    let path = agentPath(stateDirectory)
    let deadline = MonotonicTime.now + limit
    while true {
      if try FileLock.isHeldExclusively(path) { throw LockError.agentRuns(.of(path)) }
      do throws(SystemError) {
        return try FileLock(path, waitingAtMost: .zero)
      } catch {
        guard error.errno == EWOULDBLOCK else { throw error }
        guard MonotonicTime.now < deadline else {
          // Processes that wait for their turn hold it as well. The one that has the turn is named.
          throw LockError.syncTooLong(.of(path, by: FileLock.holder(syncPath(stateDirectory)) ?? FileLock.holder(path)))
        }
      }
      MonotonicTime.sleep(.milliseconds(5))
    }
  }

  /// Runs one `sync`, when no agent runs and no other `sync`.
  static func taking<Value>(
    turnIn stateDirectory: String, _ body: () async throws -> Value
  ) async throws -> Value {
    try Files.makeDirectory(stateDirectory)
    let deadline = MonotonicTime.now + limit
    let agent = try wait(agentPath(stateDirectory), .shared, deadline) { .agentRuns(.of($0)) }
    let turn = try wait(syncPath(stateDirectory), .exclusive, deadline) { .syncTooLong(.of($0)) }
    let value = try await body()
    _ = consume turn
    _ = consume agent
    return value
  }

  private static func wait(
    _ path: String, _ mode: FileLock.Mode, _ deadline: Duration, _ late: (String) -> LockError
  ) throws -> FileLock {
    do throws(SystemError) {
      return try FileLock(path, mode, waitingAtMost: max(.zero, deadline - MonotonicTime.now))
    } catch {
      throw error.errno == EWOULDBLOCK ? late(path) : error as any Error
    }
  }
}

/// Errors of the locks of agent and `sync`.
enum LockError: Error, CustomStringConvertible {
  case agentRuns(HeldLock)
  case syncTooLong(HeldLock)

  var description: String {
    switch self {
    case .agentRuns(let lock):
      "causeway-hostgw run\(lock.process) is at work on this node, it holds \(lock.path): stop it first"
    case .syncTooLong(let lock):
      "another causeway-hostgw\(lock.process) has held \(lock.path) for 30 seconds: see whether it hangs"
    }
  }
}

/// A lock that another process holds.
struct HeldLock {
  let path: String
  /// " (process 17)"; empty if the process cannot be found.
  let process: String

  static func of(_ path: String) -> HeldLock { of(path, by: FileLock.holder(path)) }

  static func of(_ path: String, by process: Int32?) -> HeldLock {
    HeldLock(path: path, process: process.map { " (process \($0))" } ?? "")
  }
}
