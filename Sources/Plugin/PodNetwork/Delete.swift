internal import Addresses
internal import Attachments
package import CNI
internal import Glibc
internal import IPAM
internal import Linux
internal import Netfilter
internal import Netlink
internal import NodeState

/// DEL: takes an attachment's rules and cable, then its addresses. Whatever is gone already is success.
///
/// Rules go while the built-in IPAM still holds the addresses, so they cannot be somebody else's; a delegate gives its
/// own back first. It needs neither the pod's namespace nor a valid configuration, only the network's name; what cannot
/// be read of the rest has its default. Only a cable that cannot be removed is an error, and then the addresses are kept;
/// and a delegate's own error, when all else is done.
package func deleteAttachment(
  _ invocation: Invocation, _ network: NetworkConfiguration, as type: PluginType = .causeway
) throws {
  let attachment = Attachment(invocation, network.name)
  let traces = Traces(network, type)
  let state = StateDirectory(traces.leaseSource.stateDirectory)
  let record = state.records.find(attachment)
  let namespace = try openNamespaceToLeave(invocation, record)
  var host = try RouteSocket()

  // dhcp gives its address back through the cable.
  let refusal = traces.delegate?.release(invocation.searchPath)
  let leases = Set([traces.dataDirectory, record?.dataDirectory ?? traces.dataDirectory])
    .filter { !$0.isEmpty }
    .map { LeaseDirectory(attachment.network, dataDirectory: $0, state.path, isFromLease: false) }
  let owner = LeaseOwner(attachment)
  let addresses = record?.addresses ?? leases.flatMap { (try? $0.find(owner)) ?? [] }
  let netfilter = removeRules(attachment, record, of: addresses) {
    leases.flatMap { (try? $0.addresses(besides: owner)) ?? [] }
  }
  // The kernel frees rules in its own time, some 10 ms, which the close of the last socket sits out.
  let kept: Int32? =
    switch netfilter {
    case .some(let socket): socket.descriptor
    case .none: nil
    }
  if try !Cable.remove(attachment, recorded: record?.hostLink, keeping: kept, &host), let namespace {
    try removeInside(namespace, attachment, &host)
  }
  // Not before the cable is gone: as long as there is one, the helper gives the pod its place back.
  leaveFastPath(addresses, record?.mac)
  if record?.isRouted ?? true { host.stopAnswering(for: addresses) }
  for directory in leases { _ = try directory.release(owner) }
  try state.records.remove(attachment.key)
  traces.removeFlannelFile(of: attachment)
  removeOldGateways(traces, state, &host)
  _ = consume netfilter
  if let refusal { throw refusal }
}

/// Removes the attachment's rules, ours and those that a reference plugin made; tells what stays.
///
/// A rule too many harms nobody: the address's next owner replaces it.
///
/// - Parameter others: the addresses of the container's other interfaces in the network.
/// - Returns: the socket that was used.
private func removeRules(
  _ attachment: Attachment, _ record: AttachmentRecord?, of addresses: [IPAddress], others: () -> [IPAddress]
) -> NetfilterSocket? {
  func report(_ error: any Error) { StandardError.write("a rule of \(attachment.key) stays: \(error)") }
  // No program is run for a pod that causeway made: it would hold up every DEL on a node that uses the older tables.
  if record == nil { do { try attachment.removeLegacyRules(others: others) } catch { report(error) } }
  let port = record?.hostLink ?? attachment.hostLinkName(attempt: 0)
  func remove(_ netfilter: inout NetfilterSocket) -> [any Error] {
    [
      Result { try attachment.removeRules(of: addresses, port: port, mac: record?.mac, &netfilter) },
      Result { try attachment.removeReferenceRules(others: others, &netfilter) },
    ].compactMap { if case .failure(let error) = $0 { error } else { nil } }
  }
  // What a busy kernel refuses once it may do the next time; nobody else would.
  for isLast in [false, true] {
    do {
      var netfilter = try NetfilterSocket()
      let errors = remove(&netfilter)
      if !errors.isEmpty, !isLast { continue }
      errors.forEach(report)
      return netfilter
    } catch {
      if isLast { report(error) }
    }
  }
  return nil
}

/// The pod's namespace where it still is. Where the path has come to lead to another one than ADD was given, nobody's
/// cable there is this attachment's; without a record, the node's own is refused as for ADD.
private func openNamespaceToLeave(
  _ invocation: Invocation, _ record: AttachmentRecord?
) throws -> NetworkNamespace? {
  guard !invocation.namespacePath.isEmpty, let namespace = try? NetworkNamespace(invocation.namespacePath),
    record == nil || record?.namespace == namespace.identity
  else { return nil }
  try refuseOwnNamespace(namespace, invocation)
  return namespace
}

/// Removes a cable by its end in the pod: one that another plugin made, or that lost its name on the node. One that
/// belongs to another attachment stays: this one's ADD may have failed because of it.
private func removeInside(
  _ namespace: borrowing NetworkNamespace, _ attachment: Attachment, _ host: inout RouteSocket
) throws {
  let interfaceName = attachment.interfaceName
  var pod = try RouteSocket(in: namespace)
  guard let link = try pod.link(named: interfaceName), link.kind == "veth" else { return }
  if let peerIndex = link.peerIndex, let peer = try host.link(index: peerIndex),
    peer.alias?.hasPrefix(Attachment.aliasPrefix) == true, peer.alias != attachment.linkAlias
  {
    return
  }
  try pod.perform(.removeLink(link.index, name: interfaceName), accepting: ENODEV)
}
