internal import JSON
internal import StoreTransport

/// A request to the Kubernetes API, without its server and credentials.
struct KubeRequest: Sendable {
  /// Verb that a role must allow.
  let verb: String
  /// Resource that a role must allow the verb on, with its subresource: `nodes/status`.
  let resource: String
  /// HTTP method.
  var method = "GET"
  /// Path with its query.
  let path: String
  /// Media type of the body.
  var contentType: String?
  var body: String?

  /// Objects of one page of a list.
  static let pageSize = 500

  /// Asks for a page of all objects.
  ///
  /// - Parameter continuation: the token that the page before has returned; empty for the first page.
  static func list<Object>(_ resource: KubeResource<Object>, continuation: String) -> KubeRequest {
    let rest = continuation.isEmpty ? "" : "&continue=\(escaped(continuation))"
    return KubeRequest(
      verb: "list", resource: resource.name, path: "\(resource.path())?limit=\(pageSize)\(rest)")
  }

  /// Asks for all changes since a version.
  ///
  /// - Parameter seconds: how long the server should keep the watch open.
  static func watch<Object>(
    _ resource: KubeResource<Object>, from resourceVersion: String, seconds: Int
  ) -> KubeRequest {
    KubeRequest(
      verb: "watch", resource: resource.name,
      path: "\(resource.path())?watch=true&allowWatchBookmarks=true"
        + "&resourceVersion=\(escaped(resourceVersion))&timeoutSeconds=\(seconds)")
  }

  /// Changes one object, or a subresource of it, by a strategic merge patch.
  ///
  /// - Throws: `JSONError` if the patch cannot be written as JSON.
  static func patch<Object>(
    _ resource: KubeResource<Object>, _ key: String, subresource: String?, with patch: JSONValue
  ) throws -> KubeRequest {
    KubeRequest(
      verb: "patch", resource: resource.name + (subresource.map { "/\($0)" } ?? ""), method: "PATCH",
      path: resource.path(of: key, subresource: subresource),
      contentType: "application/strategic-merge-patch+json", body: try patch.text())
  }

  /// Creates an object.
  ///
  /// - Parameter namespace: `nil` for a resource that is not namespaced.
  /// - Throws: `JSONError` if the object cannot be written as JSON.
  static func create<Object>(
    _ object: JSONValue, _ resource: KubeResource<Object>, namespace: String?
  ) throws -> KubeRequest {
    KubeRequest(
      verb: "create", resource: resource.name, method: "POST", path: resource.path(namespace: namespace),
      contentType: "application/json", body: try object.text())
  }

  /// Makes the HTTP request.
  ///
  /// - Parameters:
  ///   - base: scheme and host of the server, without a slash at the end.
  ///   - token: the bearer token, `nil` for none.
  func http(base: String, token: Secret?) -> HTTPTransport.Request {
    var headers = [(name: "Accept", value: "application/json")]
    if let token { headers.append((name: "Authorization", value: "Bearer \(token.text)")) }
    if let contentType { headers.append((name: "Content-Type", value: contentType)) }
    return HTTPTransport.Request(method: method, url: base + path, headers: headers, body: body)
  }

  /// Escapes a text for use in a path or query (RFC 3986, section 2.3).
  static func escaped(_ text: String) -> String {
    text.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        String(UnicodeScalar(byte))
      default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }.joined()
  }
}
