internal import Attachments
internal import CNI
internal import Linux

/// Opens CNI_NETNS, and refuses the plugin's own namespace, with the node's interfaces, before anything is touched.
///
/// - Throws: code 8.
func openPodNamespace(_ invocation: Invocation) throws(PodNetworkError) -> NetworkNamespace {
  let namespace = try openNamespace(invocation.namespacePath)
  try refuseOwnNamespace(namespace, invocation)
  return namespace
}

/// Refuses the plugin's own namespace, unless CNI_NETNS_OVERRIDE allows it.
func refuseOwnNamespace(_ namespace: borrowing NetworkNamespace, _ invocation: Invocation) throws(PodNetworkError) {
  if invocation.allowsOwnNamespace { return }
  if try namespace.identity == fromSystem(NetworkNamespace.current()).identity {
    throw PodNetworkError(
      .invalidNamespace, "plugin's netns and netns from CNI_NETNS should not be the same",
      details: "CNI_NETNS \"\(invocation.namespacePath)\" is the node's own; "
        + "give the container a namespace, or set CNI_NETNS_OVERRIDE=1")
  }
}

private func openNamespace(_ path: String) throws(PodNetworkError) -> NetworkNamespace {
  do throws(SystemError) {
    return try NetworkNamespace(path)
  } catch {
    throw PodNetworkError(
      .invalidNamespace, "CNI_NETNS \"\(path)\" is not a network namespace that can be opened",
      details: error.description)
  }
}

extension Attachment {
  init(_ invocation: Invocation, network: String) {
    self.init(
      network: network, containerID: invocation.containerID, interfaceName: invocation.interfaceName)
  }
}
