internal import CNI
internal import Glibc
internal import JSON
internal import Linux
internal import NodeState

/// The hand-off: where no agent runs, ADD lets the helper bring lease and routes up to date before it begins.
struct HandOff {
  let source: LeaseSource
  let state: StateDirectory
  /// The directories of CNI_PATH.
  let searchPath: [String]

  private static let helperName = "causeway-hostgw"
  /// Limit for the wait for another ADD's `sync`, and for this one's own.
  private static let limit = Duration.seconds(20)

  /// The lease, after the helper has run where it had to.
  ///
  /// If nothing changed since the last `sync`, this costs one stat(2) and the reading of two small files. A `sync` that
  /// fails is reported on standard error and fails no ADD that has a lease.
  ///
  /// - Throws: code 11 where another ADD's `sync` does not end, the lease cannot be read, or it `isNeeded` and the
  ///   helper could not make one: with the helper's own message.
  func lease(isNeeded: Bool) throws(PodNetworkError) -> SubnetLease? {
    var failure: String?
    if let helper = source.helper { failure = try bringUpToDate(helper) }
    let lease: SubnetLease?
    do throws(LeaseError) {
      lease = try source.read()
    } catch {
      throw PodNetworkError(.tryAgainLater, "the node's lease cannot be used", details: error.description)
    }
    if let failure, lease == nil, isNeeded { throw PodNetworkError(.tryAgainLater, source.remedy, details: failure) }
    if lease != nil && source.helper == nil { warnOfDeadAgent() }
    return lease
  }

  /// Warns, in the runtime's log, that pods get addresses of a lease that no agent renews.
  private func warnOfDeadAgent() {
    guard (try? Files.identity(state.agentLock)) != nil, (try? FileLock.isHeldExclusively(state.agentLock)) == false
    else { return }
    StandardError.write(
      "causeway-hostgw run is not at work on this node: its lease and its routes to other nodes stay as they are")
  }

  /// Runs the helper where it is needed.
  ///
  /// - Returns: why the helper failed, where it ran and failed.
  private func bringUpToDate(_ helper: LeaseSource.Helper) throws(PodNetworkError) -> String? {
    if isUpToDate(helper) { return nil }
    if try fromSystem(FileLock.isHeldExclusively(state.agentLock)) { return nil }
    try fromSystem(Files.makeDirectory(state.path))
    let lock = try waitForTurn()
    // The ADD that held the lock before this one has done the work.
    let isDone = isUpToDate(helper) || hasJustFailed(helper)
    let failure = isDone ? nil : try runHelper(helper)
    _ = consume lock
    return failure
  }

  /// Whether the helper failed on this nodes file less than 30 seconds ago and there is a lease. ADD then uses the lease,
  /// instead of running the helper for each pod.
  private func hasJustFailed(_ helper: LeaseSource.Helper) -> Bool {
    guard hasLease, let failure = try? Files.identity(failureFile),
      MonotonicTime.sinceEpoch - failure.modified < .seconds(30)
    else { return false }
    let nodes = try? Files.identity(helper.nodesFile)
    return nodes.map { $0.modified <= failure.modified } ?? true
  }

  private var failureFile: String { "\(state.path)/hand-off.failed" }

  /// Waits until no other ADD runs the helper.
  private func waitForTurn() throws(PodNetworkError) -> FileLock {
    let path = "\(state.path)/hand-off.lock"
    do throws(SystemError) {
      return try FileLock(path, waitingAtMost: HandOff.limit)
    } catch {
      guard error.errno == EWOULDBLOCK else { throw .system(error) }
      throw PodNetworkError(
        .tryAgainLater, "another ADD has been running \(HandOff.helperName) sync for too long",
        details: "see whether it hangs: \(path) is held")
    }
  }

  /// Whether there is a lease and the nodes file is as the last `sync` read it.
  private func isUpToDate(_ helper: LeaseSource.Helper) -> Bool {
    guard hasLease else { return false }
    // A nodes file that is absent or cannot be read revokes no lease.
    guard let identity = try? Files.identity(helper.nodesFile) else { return true }
    return NodesFileMark(identity).isStored(in: state.path)
  }

  /// Whether there is a lease; one that cannot be read counts as none, since the helper replaces it.
  private var hasLease: Bool { (try? source.read()) != nil }

  private func runHelper(_ helper: LeaseSource.Helper) throws(PodNetworkError) -> String? {
    guard let program = HandOff.findHelper(searchPath) else {
      return reported("\(HandOff.helperName) is not in CNI_PATH \(searchPath.joined(separator: ":"))")
    }
    let failure: String
    let options = try fromJSON(JSONValue.object(helper.options).text())
    do throws(SystemError) {
      let outcome = try Program.run(
        program, ["sync", "--config", "-"], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        input: Array(options.utf8), limit: HandOff.limit, collectsErrors: true)
      guard outcome.status != 0 else {
        try Files.remove(failureFile)
        return nil
      }
      failure = String(decoding: outcome.output, as: UTF8.self)
    } catch {
      failure = error.description
    }
    try fromSystem(Files.write(failureFile, []))
    return reported("\(HandOff.helperName) sync: \(failure)")
  }

  /// Writes the failure to the runtime's log, since most ADDs succeed all the same.
  private func reported(_ failure: String) -> String {
    StandardError.write(failure)
    return failure
  }

  static func findHelper(_ searchPath: [String]) -> String? {
    searchPath.map { "\($0)/\(helperName)" }.first { Files.isProgram($0) }
  }
}
