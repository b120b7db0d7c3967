internal import Addresses
internal import JSON
internal import Linux
internal import Nodes

/// Node of Kubernetes, as far as it is kept.
struct KubeNode: KubeObject {
  let name: String
  var key: String { name }
  /// Creation time as of RFC 3339, in UTC, so that texts sort by time.
  let created: String
  /// Subnets of the node, at most one of each family, with their problems.
  private(set) var subnets: [Subnet] = []
  /// Addresses by which other nodes reach it.
  let addresses: PerFamily<IPAddress>
  /// `nil` if the node publishes none: it then counts as one of the cluster's.
  let backend: BackendRecord?
  /// Kept for this node only.
  let own: Own?

  struct Subnet: Sendable, Equatable {
    let prefix: IPPrefix
    /// Reason why no route can lead there: one bad node harms no other.
    let problem: String?
  }

  struct Own: Sendable, Equatable {
    /// Annotations with our prefix, which is left out.
    let annotations: [String: String]
    let internalIPs: [IPAddress]
    /// Condition `NetworkUnavailable`, if there is one.
    let condition: KubeCondition?
    /// Problem of its podCIDRs, also if they are no networks at all.
    let problem: String?

    /// Addresses that people chose for it (`node-public-ip`, `node-public-ipv6`).
    var chosen: [IPAddress] {
      IPFamily.allCases.compactMap { family in
        annotations[family == .v4 ? "node-public-ip" : "node-public-ipv6"].flatMap { KubeNode.address($0, family) }
      }
    }

    /// Address to publish in place of its own.
    func overwrite(_ family: IPFamily) -> IPAddress? {
      annotations[KubeNode.publicKey(family) + "-overwrite"].flatMap { KubeNode.address($0, family) }
    }
  }

  static func publicKey(_ family: IPFamily) -> String { family == .v4 ? "public-ip" : "public-ipv6" }

  /// Reads a node; `nil` if it has no name, or one that no node may have.
  init?(_ object: JSONObject, prefix: String, ownName: String) {
    guard let metadata = object["metadata"]?.object, let name = metadata["name"]?.string, Node.isName(name) else {
      return nil
    }
    self.name = name
    created = metadata["creationTimestamp"]?.string ?? ""
    var annotations: [String: String] = [:]
    for member in metadata["annotations"]?.object?.members ?? [] where member.name.hasPrefix(prefix) {
      annotations[String(member.name.dropFirst(prefix.count))] = member.value.string
    }
    let status = object["status"]?.object
    let internalIPs = (status?["addresses"]?.array ?? []).compactMap { entry -> IPAddress? in
      guard let entry = entry.object, entry["type"]?.string == "InternalIP" else { return nil }
      return entry["address"]?.string.flatMap { text in
        IPFamily.allCases.lazy.compactMap { KubeNode.address(text, $0) }.first
      }
    }
    var problems: [IPFamily: String] = [:]
    /// Next hop: the address that the node's flannel or causeway publishes, else kubelet's.
    func hop(_ family: IPFamily) -> IPAddress? {
      for key in ["\(KubeNode.publicKey(family))-overwrite", KubeNode.publicKey(family)] {
        guard let text = annotations[key], !text.isEmpty else { continue }
        if let address = KubeNode.address(text, family) { return address }
        problems[family] =
          "its annotation \(prefix)\(key) is \"\(text.quotable)\", but must be a node's \(family) address"
      }
      return internalIPs.first { $0.family == family }
    }
    addresses = PerFamily(v4: hop(.v4), v6: hop(.v6))
    func data(_ key: String) -> JSONValue? { annotations[key].flatMap { try? JSONValue(parsing: Array($0.utf8)) } }
    backend = annotations["backend-type"].map {
      BackendRecord(type: $0, data: data("backend-data"), ipv6Data: data("backend-v6-data"))
    }
    var wrong: [String] = []
    let spec = object["spec"]?.object
    let texts = spec?["podCIDRs"]?.array?.compactMap(\.string) ?? []
    for text in texts.isEmpty ? [spec?["podCIDR"]?.string].compactMap({ $0 }) : texts where !text.isEmpty {
      guard let prefix = IPPrefix(text) else {
        wrong.append("its podCIDR \"\(text.quotable)\" is no network")
        continue
      }
      guard !subnets.contains(where: { $0.prefix.family == prefix.family }) else { continue }
      let problem = prefix.problemAsSubnet.map { "its podCIDR \($0)" }
      if let problem { wrong.append(problem) }
      subnets.append(Subnet(prefix: prefix, problem: problem ?? problems[prefix.family]))
    }
    own =
      name == ownName
      ? Own(
        annotations: annotations, internalIPs: internalIPs,
        condition: KubeCondition(status?["conditions"]?.array ?? [], type: KubeCondition.networkUnavailable),
        problem: wrong.first)
      : nil
  }

  func subnet(_ family: IPFamily) -> Subnet? { subnets.first { $0.prefix.family == family } }

  /// Reads an address by which a node can be reached.
  fileprivate static func address(_ text: String, _ family: IPFamily) -> IPAddress? {
    guard let address = IPAddress(text), address.family == family, address.isNodeAddress else { return nil }
    return address
  }
}

/// Condition in a node's status.
struct KubeCondition: Sendable, Equatable {
  static let networkUnavailable = "NetworkUnavailable"

  /// `True`, `False` or `Unknown`.
  let status: String
  let reason: String
  let message: String

  init(status: String, reason: String, message: String) {
    self.status = status
    self.reason = reason
    self.message = message
  }

  /// Finds the condition of a type.
  init?(_ conditions: [JSONValue], type: String) {
    guard let condition = conditions.lazy.compactMap(\.object).first(where: { $0["type"]?.string == type }) else {
      return nil
    }
    status = condition["status"]?.string ?? ""
    reason = condition["reason"]?.string ?? ""
    message = condition["message"]?.string ?? ""
  }
}
