internal import JSON
internal import Linux
internal import StoreTransport

/// How the Kubernetes API is reached and who asks there.
struct KubeAccess: Sendable, Equatable {
  enum Token: Sendable, Equatable {
    /// Read before each request, since what is in it lasts an hour or so.
    case file(String)
    case text(Secret)
  }

  /// `https://192.0.2.1:6443`, without a slash at its end.
  var server: String
  /// What the server's certificate names where that is not the server's host.
  var serverName: String?
  var tls = TLSMaterial()
  package var token: Token?

  /// What goes before the path of a request.
  var base: String {
    guard let serverName, let host = KubeAccess.host(of: server) else { return server }
    return server.replacing(host, with: serverName, maxReplacements: 1)
  }

  var transport: HTTPTransport.Setup {
    var setup = HTTPTransport.Setup(tls: tls, longestSilence: KubeClient.longestSilence)
    if let serverName, let host = KubeAccess.host(of: server) { setup.hosts = [serverName: host] }
    return setup
  }

  var isEncrypted: Bool { server.hasPrefix("https://") }

  /// The URL of a server as people write it, `nil` where it is none: `https://` may be left away.
  static func server(_ text: String) -> String? {
    var server = text.contains("://") ? text : "https://\(text)"
    while server.hasSuffix("/") { server.removeLast() }
    guard server.hasPrefix("https://") || server.hasPrefix("http://"), let host = host(of: server), !host.isEmpty,
      server.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "@") })
    else { return nil }
    return server
  }

  private static func host(of server: String) -> String? {
    guard let scheme = server.firstRange(of: "://") else { return nil }
    let rest = server[scheme.upperBound...].prefix { $0 != "/" }
    if rest.first == "[" { return rest.firstIndex(of: "]").map { String(rest[...$0]) } }
    return String(rest.prefix { $0 != ":" })
  }
}

/// Where the access is told.
package struct KubeAccessSource: Sendable {
  /// A file in the form of kubectl's; `nil`: that of the pod that this process runs in.
  package var kubeconfig: String?
  /// In place of the server that is told there.
  package var server: String?
  /// Where a pod finds who it is.
  package var serviceAccount: String
  package var environment: @Sendable (String) -> String?

  package init(
    kubeconfig: String?, server: String?, serviceAccount: String = "/var/run/secrets/kubernetes.io/serviceaccount",
    environment: @escaping @Sendable (String) -> String? = { CurrentProcess.environment($0) }
  ) {
    self.kubeconfig = kubeconfig
    self.server = server
    self.serviceAccount = serviceAccount
    self.environment = environment
  }

  /// Whether a text can be the URL of a server.
  package static func isServer(_ text: String) -> Bool { KubeAccess.server(text) != nil }

  /// For people.
  var name: String { server ?? kubeconfig ?? serviceAccount }

  /// What tells whether there is something new to read; `nil` where nothing changes.
  var identity: FileIdentity? { kubeconfig.flatMap { try? Files.identity($0) } }

  func read() throws(KubeError) -> KubeAccess {
    var access: KubeAccess
    if let kubeconfig {
      access = try KubeConfigFile.read(kubeconfig)
    } else {
      access = try pod()
    }
    if let server { access.server = KubeAccess.server(server) ?? server }
    return access
  }

  /// What kubelet puts in a pod. Who names the server gets along without.
  private func pod() throws(KubeError) -> KubeAccess {
    let token = "\(serviceAccount)/token"
    let authorities = "\(serviceAccount)/ca.crt"
    let hasToken = (try? Files.identity(token)) != nil
    let hasAuthorities = (try? Files.identity(authorities)) != nil
    var access = KubeAccess(server: "", token: hasToken ? .file(token) : nil)
    if hasAuthorities { access.tls.authorities = .file(authorities) }
    if server != nil { return access }
    guard hasToken, let host = environment("KUBERNETES_SERVICE_HOST"), !host.isEmpty else {
      throw .access(
        file: serviceAccount,
        reason: "this is no pod with a service account: give --kubeconfig-file, or run as one (there must be \(token), "
          + "and KUBERNETES_SERVICE_HOST in the environment)")
    }
    let port = environment("KUBERNETES_SERVICE_PORT").flatMap { $0.isEmpty ? nil : $0 } ?? "443"
    let name = "https://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    guard let server = KubeAccess.server(name) else {
      throw .access(file: "KUBERNETES_SERVICE_HOST", reason: "\(host) is no host")
    }
    access.server = server
    return access
  }
}
