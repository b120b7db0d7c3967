internal import CNI
internal import Glibc
internal import JSON
internal import Linux
internal import NodeState

/// The hand-off: where no agent runs, ADD lets the helper bring lease and routes up to date before it begins.
extension LeaseSource {
  private static let helperName = "causeway-hostgw"
  /// How long an ADD waits for another's `sync`, and for its own.
  private static let limit = Duration.seconds(20)

  /// The lease, after the helper has run where it had to.
  ///
  /// In the ordinary case, nothing changed since the last `sync`, this costs one stat(2) and the reading of two
  /// small files. A `sync` that fails is told on standard error and fails no ADD: the lease counts.
  ///
  /// - Throws: code 11 where another ADD's `sync` does not end, the lease cannot be read, or it `isNeeded` and the
  ///   helper could not make one: with the helper's own words.
  func obtain(searchPath: [String], isNeeded: Bool) throws -> SubnetLease? {
    let failure = try helper.flatMap { try bringUpToDate($0, searchPath) }
    let lease: SubnetLease?
    do throws(LeaseError) {
      lease = try read()
    } catch {
      throw CNIError(.tryAgainLater, "the node's lease cannot be used", details: error.description)
    }
    if let failure, lease == nil, isNeeded { throw CNIError(.tryAgainLater, remedy, details: failure) }
    if lease != nil && helper == nil { tellOfDeadAgent() }
    return lease
  }

  /// Pods are served on the lease that is there, and the runtime's log says that nobody looks after it.
  private func tellOfDeadAgent() {
    guard (try? Files.identity(agentLock)) != nil, (try? FileLock.isHeldExclusively(agentLock)) == false else {
      return
    }
    StandardError.write(
      "causeway-hostgw run is not at work on this node: its lease and its routes to other nodes stay as they are")
  }

  /// Says why the helper failed, where it was run and did.
  private func bringUpToDate(_ helper: Helper, _ searchPath: [String]) throws -> String? {
    if try isUpToDate(helper) || FileLock.isHeldExclusively(agentLock) { return nil }
    try Files.makeDirectory(stateDirectory)
    let lock = try turn()
    // The ADD that held the lock before this one has done the work.
    let isDone = try isUpToDate(helper) || hasJustFailed(helper)
    let failure = isDone ? nil : try runHelper(helper, searchPath)
    _ = consume lock
    return failure
  }

  /// Whether the helper failed on this very nodes file less than 30 seconds ago and there is a lease: then ADD goes on
  /// with it, instead of running the helper for each pod.
  private func hasJustFailed(_ helper: Helper) throws -> Bool {
    guard case .some(.some) = try? read(), let failure = try? Files.identity(failureFile),
      MonotonicTime.sinceEpoch - failure.modified < .seconds(30)
    else { return false }
    let nodes = try? Files.identity(helper.nodesFile)
    return nodes.map { $0.modified <= failure.modified } ?? true
  }

  private var failureFile: String { "\(stateDirectory)/hand-off.failed" }

  /// Waits until no other ADD runs the helper.
  private func turn() throws -> FileLock {
    let path = "\(stateDirectory)/hand-off.lock"
    do throws(SystemError) {
      return try FileLock(path, waitingAtMost: LeaseSource.limit)
    } catch {
      guard error.errno == EWOULDBLOCK else { throw error }
      throw CNIError(
        .tryAgainLater, "another ADD has been running \(LeaseSource.helperName) sync for too long",
        details: "see whether it hangs: \(path) is held")
    }
  }

  /// Whether there is a lease and the nodes file is as the last `sync` read it.
  private func isUpToDate(_ helper: Helper) throws -> Bool {
    // A lease that cannot be read counts as none: the helper writes it anew.
    guard case .some(.some) = try? read() else { return false }
    // A nodes file that went away, or cannot be looked at, takes no lease back.
    guard let identity = (try? Files.identity(helper.nodesFile)) else { return true }
    return NodesFileMark(identity).isStored(in: stateDirectory)
  }

  private func runHelper(_ helper: Helper, _ searchPath: [String]) throws -> String? {
    guard let program = LeaseSource.findHelper(searchPath) else {
      return told("\(LeaseSource.helperName) is not in CNI_PATH \(searchPath.joined(separator: ":"))")
    }
    let failure: String
    do {
      let outcome = try Program.run(
        program, ["sync", "--config", "-"], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        input: Array(JSONValue.object(helper.options).text().utf8), limit: LeaseSource.limit, collectsErrors: true)
      guard outcome.status != 0 else {
        try Files.remove(failureFile)
        return nil
      }
      failure = String(decoding: outcome.output, as: UTF8.self)
    } catch let error as SystemError {
      failure = error.description
    }
    try Files.write(failureFile, [])
    return told("\(LeaseSource.helperName) sync: \(failure)")
  }

  /// For the runtime's log, since most ADDs succeed all the same.
  private func told(_ failure: String) -> String {
    StandardError.write(failure)
    return failure
  }

  static func findHelper(_ searchPath: [String]) -> String? {
    searchPath.map { "\($0)/\(helperName)" }.first { Files.isProgram($0) }
  }

  /// What to do about a lease that is not there, for ADD's and STATUS's errors.
  var remedy: String {
    let places = subnetFiles.joined(separator: " or ")
    guard let helper else {
      return
        "there is no lease in \(places) and ipam names no ranges: start causeway-hostgw run on this node, "
        + "or add \"hostgw\" or ipam.ranges to the configuration"
    }
    return
      "there is no lease in \(places): see what causeway-hostgw sync --nodes-file \(helper.nodesFile) says"
  }
}
