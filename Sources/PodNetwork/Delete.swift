internal import Addresses
package import CNI
internal import Glibc
internal import IPAM
internal import JSON
internal import Linux
internal import Netlink

/// DEL: takes an attachment's cable, then its addresses. Whatever is gone already is success.
///
/// Rules go while the addresses are still held, so they cannot be somebody else's. It needs neither the pod's namespace nor a valid configuration, only the network's name; what cannot be read of
/// the rest has its default. Only a cable that cannot be removed is an error, and then the addresses are kept.
package func deleteAttachment(_ invocation: Invocation, _ network: NetworkConfiguration) throws {
  let attachment = Attachment(invocation, network.name)
  let namespace = try openNamespaceToLeave(invocation)
  let leaseSource = LeaseSource(lenient: network.fields)
  let state = StateDirectory(leaseSource.stateDirectory)
  let record = state.records.find(attachment)
  var host = try RouteSocket()

  let directories = [
    AddressConfiguration.dataDirectory(try? network.fields.fields("ipam")), record?.dataDirectory ?? "",
  ]
  let leases = Set(directories).filter { !$0.isEmpty }.map { directory in
    LeaseDirectory(attachment.network, dataDirectory: directory, state.path, isFromLease: false)
  }
  let owner = LeaseOwner(attachment)
  let addresses = try record?.addresses ?? leases.flatMap { try $0.find(owner) }
  do throws(NetlinkError) {
    try attachment.removeRules(of: addresses)
  } catch {
    // A rule too many harms nobody: the address's next owner replaces it.
    StandardError.write("a rule of \(attachment.key) stays: \(error)")
  }
  if try !Cable.remove(attachment, &host), let namespace {
    try removeInside(namespace, invocation.interfaceName)
  }
  for directory in leases { _ = try directory.release(owner) }
  try state.records.remove(attachment.key)
  removeOldGateways(network, leaseSource, state, &host)
}

/// The pod's namespace where it still is; the node's own is refused as for ADD.
private func openNamespaceToLeave(_ invocation: Invocation) throws -> NetworkNamespace? {
  guard !invocation.namespacePath.isEmpty else { return nil }
  do {
    return try openPodNamespace(invocation)
  } catch let error as CNIError where error.message.contains("should not be the same") {
    throw error
  } catch {
    return nil
  }
}

/// Removes a cable by its end in the pod: one that another plugin made, or that lost its name on the node.
private func removeInside(_ namespace: borrowing NetworkNamespace, _ interfaceName: String) throws {
  var pod = try RouteSocket(in: namespace)
  guard let link = try pod.link(named: interfaceName), link.kind == "veth" else { return }
  try pod.perform(.removeLink(link.index, name: interfaceName), accepting: ENODEV)
}
