@testable import EtcdStore
@testable import KubernetesStore
internal import StoreTransport
import Testing
import TestSupport

@Suite struct KubeConfigTests {
  private func config(cluster: String, user: String = "token: t", top: String = "current-context: x") -> String {
    """
    apiVersion: v1
    \(top)
    contexts:
    - {name: other, context: {cluster: none}}
    - name: x
      context: {cluster: c, user: u}
    clusters:
    - name: c
      cluster: {\(cluster)}
    users:
    - name: u
      user: {\(user)}
    """
  }

  private func parse(_ text: String) throws -> KubeAccess {
    try KubeConfigFile.parse(Array(text.utf8), file: "/etc/kube/config")
  }

  @Test func pathsAreRelativeToTheFileAndInlineDataWins() throws {
    let access = try parse(
      config(
        cluster:
          "server: 'https://kube.example:6443/', certificate-authority: pki/ca.crt, tls-server-name: other.example",
        user: "client-certificate: /abs/c.crt, client-key: ../c.key, client-key-data: S0VZ, tokenFile: t, token: x"))
    #expect(access.server == "https://kube.example:6443" && access.base == "https://other.example:6443")
    #expect(access.transport.hosts == ["other.example": "kube.example"])
    #expect(access.tls.authorities == .file("/etc/kube/pki/ca.crt") && access.tls.certificate == .file("/abs/c.crt"))
    guard case .text(let key, _) = access.tls.key else {
      Issue.record("\(access)")
      return
    }
    #expect(key.text == "KEY" && access.token == .file("/etc/kube/t"))
    #expect(!"\(access)".contains("KEY"))
  }

  @Test func kubeconfigMayBeJSON() throws {
    let access = try parse(
      #"{"current-context":"x","contexts":[{"name":"x","context":{"cluster":"c"}}],"clusters":[{"name":"c","cluster":{"server":"http://[::1]:8080"}}]}"#
    )
    #expect(access == KubeAccess(server: "http://[::1]:8080") && !access.isEncrypted)
  }

  @Test(arguments: [
    ("server: 'https://a', insecure-skip-tls-verify: true", "token: t", "insecure-skip-tls-verify) is true"),
    ("server: 'https://a', proxy-url: 'http://p'", "token: t", "proxy-url"),
    ("server: 'https://a'", "exec: {command: aws}", "users[0].user.exec can't be used"),
    ("server: 'https://a'", "auth-provider: {name: gcp}", "auth-provider can't be used"),
    ("server: 'https://a'", "username: me, password: hush", "username can't be used"),
    ("server: 'https://a'", "token: t, as: admin", "as can't be used"),
    ("server: 'https://a'", "client-certificate: c", "client-key go together"),
    ("server: 'https://a', certificate-authority-data: '!'", "token: t", "certificate-authority-data of"),
    ("certificate-authority: x", "token: t", "server is missing"), ("server: 'ftp://a'", "token: t", "must be a URL"),
    ("server: 7, x: [", "token: t", "at line"), ("server: [a]", "token: t", "must be a string"),
    ("server: 'https://me:hush@a'", "token: t", "server must hold neither user nor password"),
    ("server: 'https://a'", "token: [80475011]", "users[0].user.token must be a string"),
  ])
  func errorNamesTheUnusableKey(_ cluster: String, _ user: String, _ words: String) throws {
    let error = try #require(throws: KubeError.self) { try parse(config(cluster: cluster, user: user)) }
    let found = "\(error)"
    #expect(found.hasPrefix("/etc/kube/config: ") && !found.contains("hush") && !found.contains("80475011"), "\(found)")
    let key = words.replacing(") is true", with: " is true").replacing("-data of", with: "-data is no Base64")
    #expect(found.contains(key), "\(found)")
  }

  @Test(arguments: [
    ("current-context: y", "contexts has none with the name \"y\""), ("x: y", "current-context is missing"),
    ("current-context: other", "clusters has none with the name \"none\""),
    ("current-context: ''", "current-context is missing"),
  ])
  func currentContextMustExist(_ top: String, _ words: String) throws {
    let error = try #require(throws: KubeError.self) { try parse(config(cluster: "server: 'https://a'", top: top)) }
    #expect("\(error)".contains(words), "\(error)")
  }

  @Test func podUsesItsServiceAccount() throws {
    let directory = try TemporaryDirectory()
    var source = KubeAccessSource(kubeconfig: nil, server: nil, serviceAccount: directory.path) { name in
      ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"][name]
    }
    #expect(throws: KubeError.self) { try source.read() }
    try run(["/bin/sh", "-ec", "cd \(directory.path); echo t >token; echo c >ca.crt"]).succeeded()
    let access = try source.read()
    #expect(access.server == "https://[fd00::1]:6443" && access.token == .file("\(directory.path)/token"))
    #expect(access.tls.authorities == .file("\(directory.path)/ca.crt"))
    source.server = "192.0.2.1:6443/"
    #expect(try source.read().server == "https://192.0.2.1:6443")
    source.environment = { _ in nil }
    #expect(try source.read().server == "https://192.0.2.1:6443")
    source.server = nil
    #expect(throws: KubeError.self) { try source.read() }
  }

  @Test(
    arguments: [
      ("192.0.2.1:6443", "https://192.0.2.1:6443"), ("https://a/b/", "https://a/b"), ("http://a", "http://a"),
      ("https://", nil), ("a b", nil), ("https://u@h", nil), ("ftp://h", nil),
    ] as [(String, String?)])
  func serverMustBeAURL(_ text: String, _ server: String?) { #expect(KubeAccess.server(text) == server) }
}
