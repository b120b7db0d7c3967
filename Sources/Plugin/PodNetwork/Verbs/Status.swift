package import CNI
internal import Linux
internal import NodeState

/// STATUS: succeeds if an ADD could be served, also by running the helper first.
///
/// - Throws: code 50 with what to do.
package func reportStatus(_ invocation: Invocation, _ configuration: AttachmentConfiguration) throws(PodNetworkError) {
  try configuration.delegate?.call(.status, invocation.searchPath)
  guard let addressing = configuration.addressing else { return }
  try addressing.checkWritable()
  guard addressing.rangeSets.isEmpty else { return }
  let source = configuration.leaseSource
  // Without lease the missing ranges are an error of the configuration.
  if source.subnetFiles.isEmpty { _ = try addressing.rangeSets(orOf: nil, source) }
  let problem: String
  do throws(LeaseError) {
    if try source.read() != nil { return }
    problem = source.remedy
  } catch {
    problem = error.description
  }
  // Without a lease the next ADD runs the helper, if it is installed and no agent runs.
  if let helper = source.helper, HandOff.findHelper(invocation.searchPath) != nil,
    (try? Files.identity(helper.nodesFile)) != nil,
    (try? FileLock.isHeldExclusively(configuration.state.agentLock)) != true
  {
    return
  }
  throw PodNetworkError(.unavailable, "no address can be given to a pod", details: problem)
}
