internal import JSON
internal import Linux
internal import StoreTransport

/// URL of the Kubernetes API, and credentials for it.
struct KubeAccess: Sendable, Equatable {
  /// A bearer token.
  enum Token: Sendable, Equatable {
    /// A file that is read before each request, since its token expires after about an hour.
    case file(String)
    /// The token itself.
    case text(Secret)
  }

  /// URL such as `https://192.0.2.1:6443`, without a slash at the end.
  var server: String
  /// Name in the server's certificate; `nil` for the host of the URL.
  var serverName: String?
  /// Certificates for the connection.
  var tls = TLSMaterial()
  /// Token of each request; `nil` for none.
  package var token: Token?

  /// URL that the path of a request is appended to.
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

  /// Parses the URL of a server, of which `https://` may be omitted; `nil` if the text is not one.
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

/// Source of the access: a kubeconfig file, or the service account of a pod.
package struct KubeAccessSource: Sendable {
  /// Path of a kubeconfig file; `nil` for the service account of the pod that this process runs in.
  package var kubeconfig: String?
  /// URL that replaces the server of the source.
  package var server: String?
  /// Directory with the files of the service account.
  package var serviceAccount: String
  /// Reads a variable of the environment.
  package var environment: @Sendable (String) -> String?

  /// Makes a source.
  package init(
    kubeconfig: String?, server: String?, serviceAccount: String = "/var/run/secrets/kubernetes.io/serviceaccount",
    environment: @escaping @Sendable (String) -> String? = { CurrentProcess.environment($0) }
  ) {
    self.kubeconfig = kubeconfig
    self.server = server
    self.serviceAccount = serviceAccount
    self.environment = environment
  }

  /// Whether a text is the URL of a server.
  package static func isServer(_ text: String) -> Bool { KubeAccess.server(text) != nil }

  /// Name of the source for messages.
  var name: String { server ?? kubeconfig ?? serviceAccount }

  /// Identity of the kubeconfig file, which changes when the file does; `nil` for another source.
  var identity: FileIdentity? { kubeconfig.flatMap { try? Files.identity($0) } }

  /// Reads the access.
  ///
  /// - Throws: `KubeError.access` if the source is missing or invalid.
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

  /// Reads the files that kubelet mounts in a pod. Each is optional if the server is given.
  private func pod() throws(KubeError) -> KubeAccess {
    let token = "\(serviceAccount)/token"
    let authorities = "\(serviceAccount)/ca.crt"
    let hasToken = (try? Files.identity(token)) != nil
    let hasAuthorities = (try? Files.identity(authorities)) != nil
    var access = KubeAccess(server: "", token: hasToken ? .file(token) : nil)
    if hasAuthorities { access.tls.authorities = .file(authorities) }
    if server != nil { return access }
    guard hasToken, let host = environment("KUBERNETES_SERVICE_HOST")?.given else {
      throw .access(
        file: serviceAccount,
        reason: "this is no pod with a service account: give --kubeconfig-file, or run as one (there must be \(token), "
          + "and KUBERNETES_SERVICE_HOST in the environment)")
    }
    let port = environment("KUBERNETES_SERVICE_PORT")?.given ?? "443"
    let name = "https://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    guard let server = KubeAccess.server(name) else {
      throw .access(file: "KUBERNETES_SERVICE_HOST", reason: "\(host) is no host")
    }
    access.server = server
    return access
  }
}
