internal import JSON
internal import StoreTransport

/// One page of a list.
struct KubePage<Object: KubeObject>: Sendable {
  var objects: [Object] = []
  var resourceVersion = ""
  /// Token for the next page; empty on the last page.
  var continuation = ""
}

/// One event of a watch.
enum KubeEvent<Object: KubeObject>: Sendable, Equatable {
  /// An object was added or modified.
  case present(Object, resourceVersion: String)
  /// An object was deleted.
  case deleted(key: String, resourceVersion: String)
  /// Nothing has changed up to this version.
  case bookmark(resourceVersion: String)
  /// The server no longer has the changes since the version that the watch resumes from (410 Gone).
  case expired
  /// The server ends the watch with another error.
  case failure(status: Int64, reason: String)
}

extension KubeResource {
  /// Reads one event of a watch; `nil` for a text that is not one.
  ///
  /// - Throws: `JSONError` if the text is not JSON.
  func event(_ text: [UInt8]) throws -> KubeEvent<Object>? {
    guard let event = try JSONValue(parsing: text).object, let type = event["type"]?.string,
      let json = event["object"]?.object
    else { return nil }
    if type == "ERROR" {
      let status = json.number("code")
      if status == 410 { return .expired }
      return .failure(status: status, reason: json["message"]?.string ?? "an error without a message")
    }
    guard let version = json["metadata"]?.object?["resourceVersion"]?.string, !version.isEmpty else { return nil }
    if type == "BOOKMARK" { return .bookmark(resourceVersion: version) }
    guard let object = read(json) else { return nil }
    switch type {
    case "ADDED", "MODIFIED": return .present(object, resourceVersion: version)
    case "DELETED": return .deleted(key: object.key, resourceVersion: version)
    // Event types that later API versions add carry nothing that this version needs.
    default: return .bookmark(resourceVersion: version)
    }
  }
}

/// All objects of one resource, as a list and the watch that follows it report them.
struct KubeObjects<Object: KubeObject>: Sendable {
  /// Objects by their keys.
  private(set) var objects: [String: Object] = [:]
  /// Version that a watch resumes from; only the server can interpret it.
  private(set) var resourceVersion = ""

  init(_ objects: [Object], resourceVersion: String) {
    for object in objects { self.objects[object.key] = object }
    self.resourceVersion = resourceVersion
  }

  /// Applies an event of a watch.
  ///
  /// - Returns: whether an object has changed in the fields that are kept. Most events only renew a heartbeat.
  mutating func apply(_ event: KubeEvent<Object>) -> Bool {
    switch event {
    case .present(let object, let version):
      resourceVersion = version
      guard objects[object.key] != object else { return false }
      objects[object.key] = object
      return true
    case .deleted(let key, let version):
      resourceVersion = version
      return objects.removeValue(forKey: key) != nil
    case .bookmark(let version):
      resourceVersion = version
      return false
    case .expired, .failure:
      return false
    }
  }
}
