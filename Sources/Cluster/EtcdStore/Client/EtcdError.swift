/// Errors of the etcd store. Messages never contain passwords or tokens.
package enum EtcdError: Error, Sendable, Equatable, CustomStringConvertible {
  /// No endpoint answers; the reason at each.
  case unreachable([String])
  /// etcd refuses a call, with a gRPC code.
  case refused(endpoint: String, reason: String, code: Int64)
  /// An endpoint cannot be reached, or its answer is not what the API defines.
  case badAnswer(endpoint: String, reason: String)
  /// A certificate or key is unusable.
  case tls(file: String, reason: String)
  /// No record has this node's addresses.
  case noSubnet(addresses: String)
  /// The network configuration does not exist.
  case noConfig(key: String)
  /// The network configuration is invalid.
  case badConfig(key: String, reason: String)
  /// The cluster ID has changed.
  case otherCluster(known: String, found: String)
  /// The revision has decreased.
  case wentBack(known: Int64, found: Int64)
  /// A watch ended and may be resumed.
  case watchEnded(endpoint: String, reason: String)
  /// A watch ended and cannot be resumed at its revision.
  case watchCancelled(endpoint: String, reason: String)

  /// The error with its remedy, for messages.
  package var description: String {
    switch self {
    case .unreachable(let reasons): "no etcd endpoint answers: \(reasons.joined(separator: "; "))"
    case .refused(let endpoint, let reason, let code):
      "etcd at \(endpoint) refuses: \(reason)\(EtcdError.remedy(code, reason))"
    case .badAnswer(let endpoint, let reason): "etcd at \(endpoint): \(reason)"
    case .tls(let file, let reason): "\(file) can't be used for etcd: \(reason)"
    case .noSubnet(let addresses):
      "etcd has no subnet for this node (\(addresses)): causeway-hostgw run claims one"
    case .noConfig(let key):
      "etcd has no \(key): put the cluster's net-conf.json there, or correct --etcd-prefix"
    case .badConfig(let key, let reason): "\(key) in etcd: \(reason)"
    case .otherCluster(let known, let found):
      "etcd is another cluster (\(found)) than the one that this agent began with (\(known)): nothing changes on this "
        + "node; correct --etcd-endpoints, or restart the agent to accept it"
    case .wentBack(let known, let found):
      "etcd has lost what it knew (its revision is \(found), it was \(known)): nothing changes on this node; restore "
        + "it, or restart the agent to accept it as it is"
    case .watchEnded(let endpoint, let reason), .watchCancelled(let endpoint, let reason):
      "the watch at \(endpoint) ended: \(reason)"
    }
  }

  private static func remedy(_ code: Int64, _ reason: String) -> String {
    if reason.contains("invalid user ID or password") { return " (--etcd-username, --etcd-password)" }
    if reason.contains("user name is empty") { return " (give --etcd-username and --etcd-password)" }
    return code == 7 ? " (the user needs to read and write under --etcd-prefix)" : ""
  }
}
