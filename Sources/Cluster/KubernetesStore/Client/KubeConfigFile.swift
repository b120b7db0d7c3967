internal import JSON
internal import Linux
internal import StoreTransport
internal import YAML

/// A file in the form of kubectl's configuration: of what its current context names, what a program without a person
/// can use.
enum KubeConfigFile {
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

  /// - Parameter file: for messages, and for paths that begin at its directory.
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

private struct KubeConfigReader {
  let document: JSONFields
  let file: String

  func access() throws -> KubeAccess {
    guard let contextName = try given(document, "current-context") else {
      throw trouble("current-context is missing: name the context to use there")
    }
    let context = try entry("contexts", contextName, "context")
    guard let clusterName = try given(context, "cluster") else {
      throw trouble("\(context.path(of: "cluster")) is missing")
    }
    let cluster = try entry("clusters", clusterName, "cluster")
    guard let text = try given(cluster, "server") else { throw trouble("\(cluster.path(of: "server")) is missing") }
    // Not shown: there may be a password in it.
    if text.contains("@") {
      throw trouble(
        "\(cluster.path(of: "server")) must hold neither user nor password: they belong to the user's entry")
    }
    guard let server = KubeAccess.server(text) else {
      throw trouble("\(cluster.path(of: "server")) is \"\(text)\", but must be a URL such as https://192.0.2.1:6443")
    }
    if try cluster.bool("insecure-skip-tls-verify") == true {
      throw trouble(
        "\(cluster.path(of: "insecure-skip-tls-verify")) is true, but the server is always verified: give its "
          + "certificate-authority instead")
    }
    if try given(cluster, "proxy-url") != nil {
      throw trouble("\(cluster.path(of: "proxy-url")) can't be used: no proxy is asked")
    }
    var access = KubeAccess(server: server, serverName: try given(cluster, "tls-server-name"))
    access.tls.authorities = try source(cluster, "certificate-authority")
    if let userName = try given(context, "user") { try add(entry("users", userName, "user"), to: &access) }
    return access
  }

  private func add(_ user: JSONFields, to access: inout KubeAccess) throws {
    for field in ["exec", "auth-provider"] where user.value(field) != nil {
      throw trouble(
        "\(user.path(of: field)) can't be used: no other program is asked who this is; give a token, tokenFile or "
          + "client-certificate")
    }
    for field in ["username", "password", "as", "as-uid", "as-groups"] where user.value(field) != nil {
      throw trouble("\(user.path(of: field)) can't be used: give a token, tokenFile or client-certificate")
    }
    access.tls.certificate = try source(user, "client-certificate")
    access.tls.key = try source(user, "client-key")
    guard (access.tls.certificate == nil) == (access.tls.key == nil) else {
      throw trouble("\(user.path(of: "client-certificate")) and \(user.path(of: "client-key")) go together")
    }
    // As kubectl has it, the file counts where both are there.
    if let path = try given(user, "tokenFile") {
      access.token = .file(absolute(path))
    } else if let token = try given(user, "token") {
      access.token = .text(Secret(token))
    }
  }

  /// A text in PEM: at hand in `…-data`, else in the file that the field names.
  private func source(_ fields: JSONFields, _ name: String) throws -> PEMSource? {
    let field = fields.path(of: "\(name)-data")
    if let data = try given(fields, "\(name)-data") {
      // People wrap long lines.
      guard let bytes = Base64.decode(data.filter { !$0.isWhitespace }) else { throw trouble("\(field) is no Base64") }
      return .text(Secret(String(decoding: bytes, as: UTF8.self)), name: "\(field) of \(file)")
    }
    return try given(fields, name).map { .file(absolute($0)) }
  }

  /// An entry of a list by its name: what stands under `kind` there.
  private func entry(_ list: String, _ name: String, _ kind: String) throws -> JSONFields {
    for entry in try document.list(list) ?? [] where try entry.string("name") == name {
      return try entry.fields(kind) ?? JSONFields(JSONObject(), path: entry.path(of: kind))
    }
    throw trouble("\(list) has none with the name \"\(name)\"")
  }

  /// A text that is there and not empty.
  private func given(_ fields: JSONFields, _ name: String) throws -> String? {
    try fields.string(name).flatMap { $0.isEmpty ? nil : $0 }
  }

  private func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
    return "\(file[...slash])\(path)"
  }

  private func trouble(_ reason: String) -> KubeError { .access(file: file, reason: reason) }
}
