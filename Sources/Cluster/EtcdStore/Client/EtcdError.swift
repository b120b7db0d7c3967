/// What stands between this node and etcd; no message holds a password or a token.
package enum EtcdError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Each endpoint with what went wrong there.
  case unreachable([String])
  case refused(endpoint: String, reason: String, code: Int64)
  case badAnswer(endpoint: String, reason: String)
  case tls(file: String, reason: String)
  case noSubnet(addresses: String)
  case noConfig(key: String)
  case badConfig(key: String, reason: String)
  case otherCluster(known: String, found: String)
  case wentBack(known: Int64, found: Int64)
  case watchEnded(endpoint: String, reason: String)
  /// It can't go on from where it was.
  case watchCancelled(endpoint: String, reason: String)

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
