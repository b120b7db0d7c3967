/// Errors of the Kubernetes store. Messages never contain tokens or keys.
package enum KubeError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The source of the access is missing or invalid.
  case access(file: String, reason: String)
  /// A certificate or key is unusable.
  case tls(name: String, reason: String)
  /// The server refuses a verb on a resource.
  case refused(endpoint: String, verb: String, resource: String, status: UInt, reason: String)
  /// The server cannot be reached, or its answer is not what the API defines.
  case badAnswer(endpoint: String, reason: String)
  /// The server no longer has the requested version (410 Gone).
  case expired(endpoint: String)
  /// A watch ended with an error event. Changes since the event before it are unknown.
  case watchFailed(endpoint: String, status: Int64, reason: String)
  /// The cluster has no node with this node's name.
  case noNode(name: String)
  /// The file with the network configuration does not exist.
  case noConfig(file: String)
  /// The network configuration is invalid.
  case badConfig(file: String, reason: String)
  /// The node has no podCIDR.
  case noSubnet(node: String)
  /// The node's podCIDR is unusable.
  case badSubnet(node: String, reason: String)
  /// The node's podCIDR lies outside the cluster's network.
  case foreignSubnet(node: String, subnet: String, network: String)

  /// The error with its remedy, for messages.
  package var description: String {
    switch self {
    case .access(let file, let reason): "\(file): \(reason)"
    case .tls(let name, let reason): "\(name) can't be used for the Kubernetes API: \(reason)"
    case .refused(let endpoint, let verb, let resource, let status, let reason):
      "the Kubernetes API at \(endpoint) refuses to \(verb) \(resource) (\(status)): \(reason)"
        + KubeError.remedy(status, verb: verb, resource: resource)
    case .badAnswer(let endpoint, let reason): "the Kubernetes API at \(endpoint): \(reason)"
    case .expired(let endpoint): "the Kubernetes API at \(endpoint) no longer has the changes since then"
    case .watchFailed(let endpoint, let status, let reason):
      "the watch at \(endpoint) failed (\(status)): \(reason)"
    case .noNode(let name):
      "the cluster has no node \(name): nothing changes on this node; say which it is with --node-name or NODE_NAME, or "
        + "let kubelet register it"
    case .noConfig(let file):
      "\(file) does not exist: put the cluster's net-conf.json there, or name another with --net-config-path"
    case .badConfig(let file, let reason): "\(file): \(reason)"
    case .noSubnet(let node):
      "node \(node) has no podCIDR yet: kube-controller-manager gives it one (--allocate-node-cidrs, --cluster-cidr)"
    case .badSubnet(let node, let reason): "node \(node) has no subnet: \(reason)"
    case .foreignSubnet(let node, let subnet, let network):
      "node \(node) has the podCIDR \(subnet), which is not in the cluster's network \(network): correct --net-config-path, "
        + "or kube-controller-manager's --cluster-cidr"
    }
  }

  /// Whether a watch cannot be resumed, so that a new list is needed.
  var needsNewList: Bool {
    switch self {
    case .expired, .watchFailed: true
    default: false
    }
  }

  /// Whether the server refuses a watch for the watch itself, not for missing credentials, overload or a failure.
  var refusesWatch: Bool {
    guard case .refused(_, "watch", _, let status, _) = self else { return false }
    return (400..<500).contains(status) && ![401, 403, 429].contains(status)
  }

  private static func remedy(_ status: UInt, verb: String, resource: String) -> String {
    switch status {
    case 401: "; renew the token or the certificate"
    case 403: "; its role must allow the verb \(verb) on the resource \(resource)"
    default: ""
    }
  }
}
