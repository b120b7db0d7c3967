internal import JSON

/// The nodes of a cluster in the Kubernetes API, and which of them is this one.
package struct KubeNodes: Sendable {
  let client: KubeClient
  /// Prefix of flannel's annotations, such as `flannel.alpha.coreos.com/`.
  let annotationPrefix: String
  /// Name of this node in the cluster.
  let ownName: String

  /// Makes the nodes of the cluster that a client reaches.
  ///
  /// - Parameters:
  ///   - annotationPrefix: prefix of flannel's annotations, such as `flannel.alpha.coreos.com/`.
  ///   - ownName: name of this node in the cluster.
  package init(_ client: KubeClient, annotationPrefix: String, ownName: String) {
    self.client = client
    self.annotationPrefix = annotationPrefix
    self.ownName = ownName
  }

  /// Nodes as this program reads them. More fields are kept of this node than of others.
  var resource: KubeResource<KubeNode> {
    KubeResource(
      group: "/api/v1", name: "nodes", kind: "Node", metadata: ["creationTimestamp", "annotations"],
      members: [
        "spec": .members(["podCIDR": .all, "podCIDRs": .all]),
        "status": .members(["addresses": .all, "conditions": .all]),
      ],
      read: { [annotationPrefix, ownName] in KubeNode($0, prefix: annotationPrefix, ownName: ownName) })
  }

  /// All nodes at one version.
  ///
  /// - Throws: `KubeError`.
  func list() async throws -> KubeState { try await client.list(resource) }

  /// Changes this node's annotations and status by a strategic merge patch.
  ///
  /// - Throws: `KubeError`.
  func patchStatus(_ patch: JSONValue) async throws {
    try await client.patch(resource, ownName, subresource: "status", with: patch)
  }
}
