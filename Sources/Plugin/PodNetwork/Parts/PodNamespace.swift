internal import Attachments
internal import CNI
internal import Linux

/// Opens CNI_NETNS, and refuses the plugin's own namespace, with the node's interfaces, before anything is touched.
///
/// - Throws: code 8.
func openPodNamespace(_ invocation: Invocation) throws -> NetworkNamespace {
  let namespace = try openNamespace(invocation.namespacePath)
  try refuseOwnNamespace(namespace, invocation)
  return namespace
}

/// Refuses the plugin's own namespace, unless CNI_NETNS_OVERRIDE allows it.
func refuseOwnNamespace(_ namespace: borrowing NetworkNamespace, _ invocation: Invocation) throws {
  if try !invocation.allowsOwnNamespace && namespace.identity == NetworkNamespace.current().identity {
    throw CNIError(
      .invalidNamespace, "plugin's netns and netns from CNI_NETNS should not be the same",
      details: "CNI_NETNS \"\(invocation.namespacePath)\" is the node's own; "
        + "give the container a namespace, or set CNI_NETNS_OVERRIDE=1")
  }
}

private func openNamespace(_ path: String) throws -> NetworkNamespace {
  do throws(SystemError) {
    return try NetworkNamespace(path)
  } catch {
    throw CNIError(
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
