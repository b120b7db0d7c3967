internal import JSON
internal import Linux
internal import StoreTransport
internal import YAML

/// Reader of kubeconfig files (Kubernetes API `v1.Config`). Uses the current context, without credentials that need a
/// plugin or a user at a terminal.
enum KubeConfigFile {
  /// Reads a file.
  ///
  /// - Throws: `KubeError.access` if the file is missing or invalid.
  static func read(_ path: String) throws(KubeError) -> KubeAccess {
    let text: [UInt8]?
    do throws(SystemError) { text = try Files.read(path, limit: 4 << 20) } catch {
      throw .access(file: path, reason: "\(error)")
    }
    guard let text else {
      throw .access(file: path, reason: "it does not exist: write it, or name another with --kubeconfig-file")
    }
    return try parse(text, file: path)
  }

  /// Parses a text.
  ///
  /// - Parameter file: path of the file, for messages; relative paths in the text start at its directory.
  /// - Throws: `KubeError.access` if the text is invalid.
  static func parse(_ text: [UInt8], file: String) throws(KubeError) -> KubeAccess {
    do {
      let document = try JSONFields(document: JSONValue(parsingYAML: text), name: "a kubeconfig")
      return try KubeConfigReader(document: document, file: file).access()
    } catch let error as KubeError {
      throw error
    } catch let error as JSONError {
      throw .access(file: file, reason: error.discreetDescription)
    } catch {
      throw .access(file: file, reason: "\(error)")
    }
  }
}

/// Reads the parts of one kubeconfig file.
private struct KubeConfigReader {
  let document: JSONFields
  let file: String

  func access() throws -> KubeAccess {
    guard let contextName = try given(document, "current-context") else {
      throw invalid("current-context is missing: name the context to use there")
    }
    let context = try entry("contexts", contextName, kind: "context")
    guard let clusterName = try given(context, "cluster") else {
      throw invalid("\(context.path(of: "cluster")) is missing")
    }
    let cluster = try entry("clusters", clusterName, kind: "cluster")
    guard let text = try given(cluster, "server") else { throw invalid("\(cluster.path(of: "server")) is missing") }
    // The message omits the text, which may contain a password.
    if text.contains("@") {
      throw invalid(
        "\(cluster.path(of: "server")) must hold neither user nor password: they belong to the user's entry")
    }
    guard let server = KubeAccess.server(text) else {
      throw invalid("\(cluster.path(of: "server")) is \"\(text)\", but must be a URL such as https://192.0.2.1:6443")
    }
    if try cluster.bool("insecure-skip-tls-verify") == true {
      throw invalid(
        "\(cluster.path(of: "insecure-skip-tls-verify")) is true, but the server is always verified: give its "
          + "certificate-authority instead")
    }
    if try given(cluster, "proxy-url") != nil {
      throw invalid("\(cluster.path(of: "proxy-url")) can't be used: proxies are not supported")
    }
    var access = KubeAccess(server: server, serverName: try given(cluster, "tls-server-name"))
    access.tls.authorities = try source(cluster, "certificate-authority")
    if let userName = try given(context, "user") { try add(entry("users", userName, kind: "user"), to: &access) }
    return access
  }

  private func add(_ user: JSONFields, to access: inout KubeAccess) throws {
    for field in ["exec", "auth-provider"] where user.value(field) != nil {
      throw invalid(
        "\(user.path(of: field)) can't be used: credential plugins are not run; give a token, tokenFile or "
          + "client-certificate")
    }
    for field in ["username", "password", "as", "as-uid", "as-groups"] where user.value(field) != nil {
      throw invalid("\(user.path(of: field)) can't be used: give a token, tokenFile or client-certificate")
    }
    access.tls.certificate = try source(user, "client-certificate")
    access.tls.key = try source(user, "client-key")
    guard (access.tls.certificate == nil) == (access.tls.key == nil) else {
      throw invalid("\(user.path(of: "client-certificate")) and \(user.path(of: "client-key")) go together")
    }
    // The file takes precedence if both are given, as in kubectl.
    if let path = try given(user, "tokenFile") {
      access.token = .file(absolute(path))
    } else if let token = try given(user, "token") {
      access.token = .text(Secret(token))
    }
  }

  /// A PEM text: inline in the field with the suffix `-data`, otherwise in the file that the field names.
  private func source(_ fields: JSONFields, _ name: String) throws -> PEMSource? {
    let field = fields.path(of: "\(name)-data")
    if let data = try given(fields, "\(name)-data") {
      // Long lines may be wrapped.
      guard let bytes = Base64.decode(data.filter { !$0.isWhitespace }) else { throw invalid("\(field) is no Base64") }
      return .text(Secret(String(decoding: bytes, as: UTF8.self)), name: "\(field) of \(file)")
    }
    return try given(fields, name).map { .file(absolute($0)) }
  }

  /// Content of a list's entry with a name, which the member `kind` of the entry contains.
  private func entry(_ list: String, _ name: String, kind: String) throws -> JSONFields {
    for entry in try document.list(list) ?? [] where try entry.string("name") == name {
      return try entry.fields(kind) ?? JSONFields(JSONObject(), path: entry.path(of: kind))
    }
    throw invalid("\(list) has none with the name \"\(name)\"")
  }

  /// A text; `nil` if it is missing or empty.
  private func given(_ fields: JSONFields, _ name: String) throws -> String? {
    try fields.string(name)?.given
  }

  private func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
    return "\(file[...slash])\(path)"
  }

  private func invalid(_ reason: String) -> KubeError { .access(file: file, reason: reason) }
}
