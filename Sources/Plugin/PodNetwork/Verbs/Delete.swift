internal import Addresses
internal import Attachments
package import CNI
internal import Glibc
internal import IPAM
internal import Linux
internal import Netfilter
internal import Netlink
internal import NodeState
internal import PodRules

/// DEL: removes an attachment's rules and veth pair, then frees its addresses. Whatever is gone already is success.
///
/// Rules are removed while the built-in IPAM still holds the addresses, so that they cannot be another pod's. A delegate
/// frees its addresses first. DEL needs neither the pod's namespace nor a valid configuration, only the network's name; a
/// key that cannot be read has its default. A veth pair that cannot be removed is an error, and the addresses are kept. A
/// delegate's own error is thrown when everything else is done.
package func deleteAttachment(
  _ invocation: Invocation, _ network: NetworkConfiguration, as type: PluginType = .causeway
) throws(PodNetworkError) {
  let attachment = Attachment(invocation, network: network.name)
  let configuration = LenientConfiguration(network, as: type)
  let state = configuration.state
  let record = state.records.find(attachment)
  let namespace = try openNamespaceToLeave(invocation, record)
  var host = try fromNetlink(RouteSocket())

  // dhcp releases its address through the pod's link.
  let refusal = configuration.delegate?.release(invocation.searchPath)
  let leases = Set([configuration.dataDirectory, record?.dataDirectory ?? configuration.dataDirectory])
    .filter { !$0.isEmpty }
    .map { state.leases(of: attachment.network, in: $0) }
  let owner = LeaseOwner(attachment)
  let addresses = record?.addresses ?? leases.flatMap { (try? $0.find(owner)) ?? [] }
  let pod = RuledPod(
    attachment, link: record?.hostLink ?? attachment.hostLinkName(attempt: 0), mac: record?.mac, addresses: addresses)
  let netfilter = removeAllRules(attachment, pod, hasRecord: record != nil) {
    leases.flatMap { (try? $0.addresses(besides: owner)) ?? [] }
  }
  // The kernel frees rules later, after some 10 ms; the close of the last socket waits for it.
  let kept: Int32? =
    switch netfilter {
    case .some(let socket): socket.descriptor
    case .none: nil
    }
  if try !VethPair.remove(attachment, recorded: record?.hostLink, keeping: kept, &host), let namespace {
    try removeInside(namespace, attachment, &host)
  }
  // Only after the veth pair is gone: while there is one, the helper adds the pod again.
  leaveFastPath(addresses, record?.mac)
  if record?.isRouted ?? true { host.stopAnswering(for: addresses) }
  for directory in leases { _ = try fromIPAM(directory.release(owner)) }
  try fromSystem(state.records.remove(attachment.key))
  configuration.removeFlannelFile(of: attachment)
  if configuration.usesLease {
    removeOldGateways(of: configuration.leaseSource, on: configuration.gatewayLink, state, &host)
  }
  _ = consume netfilter
  if let refusal { throw refusal }
}

/// Removes the attachment's rules, ours and those that a reference plugin made, and reports on standard error which stay.
///
/// A rule too many does no harm: the address's next owner replaces it.
///
/// - Parameter others: the addresses of the container's other interfaces in the network.
/// - Returns: the socket that was used.
private func removeAllRules(
  _ attachment: Attachment, _ pod: RuledPod, hasRecord: Bool, others: () -> [IPAddress]
) -> NetfilterSocket? {
  func report(_ error: PodNetworkError) { StandardError.write("a rule of \(attachment.key) stays: \(error)") }
  // No program is run for a pod that causeway made: it would delay every DEL on a node that uses the older tables.
  if !hasRecord {
    do throws(PodNetworkError) { try attachment.removeLegacyRules(others: others) } catch { report(error) }
  }
  func remove(_ netfilter: inout NetfilterSocket) -> [PodNetworkError] {
    var errors: [PodNetworkError] = []
    do throws(PodNetworkError) { try removeRules(of: pod, &netfilter) } catch { errors.append(error) }
    do throws(PodNetworkError) {
      try attachment.removeReferenceRules(others: others, &netfilter)
    } catch {
      errors.append(error)
    }
    return errors
  }
  // A busy kernel may refuse once and succeed the next time; no other verb would remove the rules.
  for isLast in [false, true] {
    do throws(PodNetworkError) {
      var netfilter = try fromNetlink(NetfilterSocket())
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

/// The pod's namespace, if it still exists. If the path leads to another namespace than ADD was given, no link there is
/// this attachment's. Without a record, the node's own namespace is refused as for ADD.
private func openNamespaceToLeave(
  _ invocation: Invocation, _ record: AttachmentRecord?
) throws(PodNetworkError) -> NetworkNamespace? {
  guard !invocation.namespacePath.isEmpty, let namespace = try? NetworkNamespace(invocation.namespacePath),
    record == nil || record?.namespace == namespace.identity
  else { return nil }
  try refuseOwnNamespace(namespace, invocation)
  return namespace
}

/// Removes a veth pair by its end in the pod: one that another plugin made, or whose end on the node was renamed. A pair
/// of another attachment stays: this one's ADD may have failed because of it.
private func removeInside(
  _ namespace: borrowing NetworkNamespace, _ attachment: Attachment, _ host: inout RouteSocket
) throws(PodNetworkError) {
  let interfaceName = attachment.interfaceName
  var pod = try fromNetlink(RouteSocket(in: namespace))
  guard let link = try fromNetlink(pod.link(named: interfaceName)), link.kind == "veth" else { return }
  if let peerIndex = link.peerIndex, let peer = try fromNetlink(host.link(index: peerIndex)),
    peer.alias?.hasPrefix(Attachment.aliasPrefix) == true, peer.alias != attachment.linkAlias
  {
    return
  }
  try fromNetlink(pod.perform(.removeLink(link.index, name: interfaceName), accepting: ENODEV))
}
