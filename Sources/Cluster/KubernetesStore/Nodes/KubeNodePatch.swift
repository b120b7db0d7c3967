internal import Addresses
internal import JSON
internal import Linux
internal import Nodes

/// State of a node's network for the condition `NetworkUnavailable`.
package enum NetworkReport: Sendable, Equatable {
  case isUp
  /// Reason why pods can't be served.
  case isDown(String)

  var condition: KubeCondition {
    switch self {
    case .isUp:
      KubeCondition(status: "False", reason: "CausewayIsUp", message: "this node's rules and routes are in place")
    case .isDown(let reason): KubeCondition(status: "True", reason: "CausewayIsDown", message: reason)
    }
  }
}

/// Annotations and condition that this node's object lacks; pure.
struct KubeNodePatch: Sendable, Equatable {
  /// Annotations with our prefix, by their names.
  private(set) var annotations: [String: String] = [:]
  private(set) var condition: KubeCondition?
  /// Whether the condition's status changes.
  private(set) var isTransition = false

  /// - Parameter node: this node's name.
  init(
    _ own: KubeNode.Own, node: String, prefix: String, addresses: [IPAddress], netConf: NetConf, network: NetworkReport?
  ) throws {
    let backend = BackendRecord(netConf.backend, node: node, families: netConf.families)
    for (key, value) in try KubeNodePatch.annotations(own, addresses, netConf.families, backend)
    where own.annotations[key] != value {
      annotations[prefix + key] = value
    }
    if let wanted = network?.condition, wanted != own.condition {
      condition = wanted
      isTransition = wanted.status != own.condition?.status
    }
  }

  /// Returns all that flannel writes, since its nodes ignore one that lacks any of it.
  private static func annotations(
    _ own: KubeNode.Own, _ addresses: [IPAddress], _ families: [IPFamily], _ backend: BackendRecord
  ) throws -> [String: String] {
    var wanted = ["kube-subnet-manager": "true", "backend-type": backend.type]
    for family in families {
      wanted[family == .v4 ? "backend-data" : "backend-v6-data"] =
        try backend.data[family].map { try JSONValue.object($0).text() } ?? "null"
      if let address = own.overwrite(family) ?? addresses.first(where: { $0.family == family }) {
        wanted[KubeNode.publicKey(family)] = "\(address)"
      }
    }
    return wanted
  }

  var isEmpty: Bool { annotations.isEmpty && condition == nil }

  /// Text for the log, which also distinguishes one patch from another.
  var summary: String {
    let parts = annotations.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    let state = condition.map { ["\(KubeCondition.networkUnavailable)=\($0.status) \($0.reason): \($0.message)"] } ?? []
    return (parts + state).joined(separator: ", ")
  }

  /// Strategic merge patch of nodes/status, which leaves other conditions alone.
  ///
  /// - Parameter now: time since the epoch.
  func json(now: Duration) -> JSONValue {
    var patch = JSONObject()
    if !annotations.isEmpty {
      let members = annotations.sorted { $0.key < $1.key }.map {
        JSONObject.Member(name: $0.key, value: .string($0.value))
      }
      patch["metadata"] = ["annotations": .object(JSONObject(members))]
    }
    if let condition {
      let time = JSONValue.string(Timestamp.text(now))
      var object: JSONObject = [
        "type": .string(KubeCondition.networkUnavailable), "status": .string(condition.status),
        "reason": .string(condition.reason), "message": .string(condition.message), "lastHeartbeatTime": time,
      ]
      if isTransition { object["lastTransitionTime"] = time }
      patch["status"] = ["conditions": [.object(object)]]
    }
    return .object(patch)
  }
}
