internal import JSON
internal import StoreTransport

/// One page of the list of nodes.
struct KubePage: Sendable {
  var nodes: [KubeNode] = []
  var resourceVersion = ""
  /// What to ask for the next page with; empty where this is the last.
  var continuation = ""
}

/// One event of a watch.
enum KubeEvent: Sendable, Equatable {
  case present(KubeNode, resourceVersion: String)
  case gone(name: String, resourceVersion: String)
  case bookmark(resourceVersion: String)
  /// The watch can't go on from where it is.
  case expired
  case failure(status: Int64, reason: String)
}

/// Reads what the API tells of nodes, and nothing else of it.
struct KubeReader: Sendable {
  /// What our annotations begin with, as `flannel.alpha.coreos.com/`.
  let prefix: String
  /// Of this node more is kept than of others.
  let ownName: String

  /// What is needed of a node.
  static let node: [String: JSONSieve.Shape] = [
    "metadata": .members(["name": .all, "resourceVersion": .all, "creationTimestamp": .all, "annotations": .all]),
    "spec": .members(["podCIDR": .all, "podCIDRs": .all]),
    "status": .members(["addresses": .all, "conditions": .all]),
  ]

  static let list = JSONSieve.Shape.members([
    "kind": .all, "items": .elements(.members(node)),
    "metadata": .members(["resourceVersion": .all, "continue": .all]),
  ])

  /// An event may carry a `Status` in place of a node.
  static let event = JSONSieve.Shape.members([
    "type": .all,
    "object": .members(node.merging(["kind": .all, "code": .all, "message": .all, "reason": .all]) { $1 }),
  ])

  func node(_ text: [UInt8]) throws -> KubeNode? {
    try JSONValue(parsing: text).object.flatMap { KubeNode($0, prefix: prefix, ownName: ownName) }
  }

  /// Fills in what a list says of itself.
  func finish(_ page: inout KubePage, _ text: [UInt8]) throws -> Bool {
    guard let list = try JSONValue(parsing: text).object, list["kind"]?.string == "NodeList",
      let metadata = list["metadata"]?.object, let version = metadata["resourceVersion"]?.string
    else { return false }
    page.resourceVersion = version
    page.continuation = metadata["continue"]?.string ?? ""
    return true
  }

  /// `nil` for a text that is no event.
  func event(_ text: [UInt8]) throws -> KubeEvent? {
    guard let event = try JSONValue(parsing: text).object, let type = event["type"]?.string,
      let object = event["object"]?.object
    else { return nil }
    if type == "ERROR" {
      let status = object.number("code")
      if status == 410 { return .expired }
      return .failure(status: status, reason: object["message"]?.string ?? "an error without words")
    }
    guard let version = object["metadata"]?.object?["resourceVersion"]?.string, !version.isEmpty else { return nil }
    if type == "BOOKMARK" { return .bookmark(resourceVersion: version) }
    guard let node = KubeNode(object, prefix: prefix, ownName: ownName) else { return nil }
    switch type {
    case "ADDED", "MODIFIED": return .present(node, resourceVersion: version)
    case "DELETED": return .gone(name: node.name, resourceVersion: version)
    // Kinds of later versions tell what earlier ones can do without.
    default: return .bookmark(resourceVersion: version)
    }
  }
}
