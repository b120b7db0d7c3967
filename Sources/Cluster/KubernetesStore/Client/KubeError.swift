/// What stands between this node and the Kubernetes API; no message holds a token or a key.
package enum KubeError: Error, Sendable, Equatable, CustomStringConvertible {
  /// How to reach the API can't be told: which file, and why.
  case access(file: String, reason: String)
  case tls(name: String, reason: String)
  /// The server says no to a verb on a resource.
  case refused(endpoint: String, verb: String, resource: String, status: UInt, reason: String)
  case badAnswer(endpoint: String, reason: String)
  /// What was asked for is too old to be told any more.
  case expired(endpoint: String)
  /// An error that came as an event of a watch: what has happened since the one before is not known.
  case watchFailed(endpoint: String, status: Int64, reason: String)
  case noNode(name: String)
  case noConfig(file: String)
  case badConfig(file: String, reason: String)
  case noSubnet(node: String)
  case badSubnet(node: String, reason: String)
  case foreignSubnet(node: String, subnet: String, network: String)

  package var description: String {
    switch self {
    case .access(let file, let reason): "\(file): \(reason)"
    case .tls(let name, let reason): "\(name) can't be used for the Kubernetes API: \(reason)"
    case .refused(let endpoint, let verb, let resource, let status, let reason):
      "the Kubernetes API at \(endpoint) refuses to \(verb) \(resource) (\(status)): \(reason)"
        + KubeError.remedy(status, verb, resource)
    case .badAnswer(let endpoint, let reason): "the Kubernetes API at \(endpoint): \(reason)"
    case .expired(let endpoint): "the Kubernetes API at \(endpoint) no longer tells what has changed since"
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

  /// Whether a watch can't go on from where it was.
  var needsNewList: Bool {
    switch self {
    case .expired, .watchFailed: true
    default: false
    }
  }

  /// Whether the server says of a watch itself that it can't be, not of who asks or how often, nor that it is in trouble.
  var refusesWatch: Bool {
    guard case .refused(_, "watch", _, let status, _) = self else { return false }
    return (400..<500).contains(status) && ![401, 403, 429].contains(status)
  }

  private static func remedy(_ status: UInt, _ verb: String, _ resource: String) -> String {
    switch status {
    case 401: "; renew the token or the certificate"
    case 403: "; its role must allow the verb \(verb) on the resource \(resource)"
    default: ""
    }
  }
}
