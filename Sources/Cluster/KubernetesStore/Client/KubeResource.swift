internal import JSON

/// An object of the Kubernetes API, reduced to the fields that a caller needs.
protocol KubeObject: Sendable, Equatable {
  /// `metadata.name`, or `namespace/name` for a namespaced resource, as client-go's `MetaNamespaceKeyFunc` has it.
  var key: String { get }
}

/// A resource of the Kubernetes API: where its objects are, which of their members are kept, and how one is read.
struct KubeResource<Object: KubeObject>: Sendable {
  /// Path of the API group with its version: `/api/v1` or `/apis/networking.k8s.io/v1`.
  let group: String
  /// Plural name that paths and roles use, such as `nodes`.
  let name: String
  /// Name of one object's type, such as `Node`.
  let kind: String
  /// Members to keep of `metadata`, besides `name`, `namespace` and `resourceVersion`.
  let metadata: Set<String>
  /// Members to keep of an object besides `metadata`.
  let members: [String: JSONSieve.Shape]
  /// Makes an object from its JSON; `nil` for JSON that cannot be one.
  let read: @Sendable (JSONObject) -> Object?
}

// MARK: JSON

extension KubeResource {
  /// JSON to keep of one object.
  var objectShape: [String: JSONSieve.Shape] {
    let names = metadata.union(["name", "namespace", "resourceVersion"])
    return members.merging(["metadata": .members(Dictionary(uniqueKeysWithValues: names.map { ($0, .all) }))]) { $1 }
  }

  /// JSON to keep of a page of a list.
  var listShape: JSONSieve.Shape {
    .members([
      "kind": .all, "items": .elements(.members(objectShape)),
      "metadata": .members(["resourceVersion": .all, "continue": .all]),
    ])
  }

  /// JSON to keep of an event, which may carry a `Status` in place of an object.
  var eventShape: JSONSieve.Shape {
    .members([
      "type": .all,
      "object": .members(objectShape.merging(["kind": .all, "code": .all, "message": .all, "reason": .all]) { $1 }),
    ])
  }

  /// Reads one item of a list.
  ///
  /// - Throws: `JSONError` if the text is not JSON.
  func object(_ text: [UInt8]) throws -> Object? { try JSONValue(parsing: text).object.flatMap(read) }

  /// Completes a page by what the list says besides its items.
  ///
  /// - Returns: whether the text is a list of this resource.
  /// - Throws: `JSONError` if the text is not JSON.
  func finish(_ page: inout KubePage<Object>, _ text: [UInt8]) throws -> Bool {
    guard let list = try JSONValue(parsing: text).object, list["kind"]?.string == "\(kind)List",
      let metadata = list["metadata"]?.object, let version = metadata["resourceVersion"]?.string
    else { return false }
    page.resourceVersion = version
    page.continuation = metadata["continue"]?.string ?? ""
    return true
  }
}

// MARK: Paths

extension KubeResource {
  /// Path of the collection in one namespace, or in all of them; also of a resource that is not namespaced.
  func path(namespace: String? = nil) -> String {
    guard let namespace else { return "\(group)/\(name)" }
    return "\(group)/namespaces/\(KubeRequest.escaped(namespace))/\(name)"
  }

  /// Path of one object, or of a subresource of it such as `status`.
  func path(of key: String, subresource: String? = nil) -> String {
    let parts = key.split(separator: "/", maxSplits: 1).map(String.init)
    let collection = path(namespace: parts.count == 2 ? parts[0] : nil)
    return "\(collection)/\(KubeRequest.escaped(parts.last ?? ""))" + (subresource.map { "/\($0)" } ?? "")
  }
}
