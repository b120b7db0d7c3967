import JSON
import Testing
import TestSupport

/// Authentication of the agent to the Kubernetes API, and of the API to the agent.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct KubeAccessTests {
  private let cluster: KubeCluster
  private var node: TestNode { cluster.nodes[0] }
  private var server: KubeServer { cluster.server }
  private static let routes = ["10.244.2.0/24 via 192.0.2.12"]

  init() throws {
    cluster = try KubeCluster(1)
    try cluster.server.put(KubeCluster.node("node-b", podCIDRs: ["10.244.2.0/24"], addresses: ["192.0.2.12"]))
  }

  private func write(_ text: String, _ path: String) throws { try KubeCluster.write(text, to: node, path: path) }

  /// Writes a service account where the kubelet mounts it.
  private func writeAccount(_ token: String) throws {
    let directory = "/run/secrets/kubernetes.io/serviceaccount"
    try write(token, "\(directory)/token")
    try write(try server.file("ca.crt"), "\(directory)/ca.crt")
  }

  @Test func aServiceAccountIsUsedAndItsTokenReread() throws {
    let command = [Binaries.hostgw, "run", "--store", "kubernetes", "--log-level", "trace"]
    let anonymous = try node.start(command, environment: ["NODE_NAME": "node-a"])
    #expect(eventually { anonymous.output.contains("give --kubeconfig-file, or run as one") }, "\(anonymous.output)")
    anonymous.stop()
    try writeAccount("token-1\n")
    let agent = try node.start(
      command,
      environment: [
        "NODE_NAME": "node-a", "KUBERNETES_SERVICE_HOST": KubeServer.address, "KUBERNETES_SERVICE_PORT": "6443",
      ])
    try node.expectRoutes(KubeAccessTests.routes, agent)
    // A new token is used immediately.
    try server.command(["do": "tokens", "tokens": ["token-2"]])
    try server.command(["do": "drop"])
    #expect(eventually { agent.output.contains("Unauthorized") }, "\(agent.output)")
    try node.expectRoutes(KubeAccessTests.routes, agent)
    try writeAccount("token-2")
    try server.put(KubeCluster.node("node-c", podCIDRs: ["10.244.3.0/24"], addresses: ["192.0.2.13"]))
    try node.expectRoutes(KubeAccessTests.routes + ["10.244.3.0/24 via 192.0.2.13"], agent, within: .seconds(30))
    #expect(!agent.output.contains("token-"), "\(agent.output)")
    // With --kube-api-url no variable for the server is needed.
    agent.stop()
    let named = try node.start(command + ["--kube-api-url", KubeServer.url], environment: ["NODE_NAME": "node-a"])
    #expect(eventually { named.output.contains("subnets of this node") }, "\(named.output)")
  }

  @Test(arguments: [("list", "nodes"), ("watch", "nodes"), ("patch", "nodes/status")])
  func missingPermissionsAreReported(_ verb: String, _ resource: String) throws {
    try server.command(["do": "forbid", "verb": .string(verb), "resource": .string(resource)])
    let agent = try cluster.agent(0)
    #expect(
      eventually {
        agent.output.contains("(403)")
          && agent.output.contains("its role must allow the verb \(verb) on the resource \(resource)")
      }, "\(agent.output)")
    #expect(agent.isRunning)
    try server.command(["do": "allow"])
    try node.expectRoutes(KubeAccessTests.routes, agent, within: .seconds(30))
  }

  @Test func relativeFilesOfAKubeconfigAreFoundAndReread() throws {
    for name in ["ca.crt", "other.crt", "client.crt", "client.key"] {
      try write(try server.file(name), "/etc/causeway/pki/\(name)")
    }
    func config(_ authority: String) -> String {
      """
      clusters: [{name: c, cluster: {server: "https://192.0.2.201:6443/", certificate-authority: pki/\(authority)}}]
      users: [{name: u, user: {client-certificate: pki/client.crt, client-key: pki/client.key}}]
      contexts: [{name: x, context: {cluster: c, user: u}}]
      current-context: x
      """
    }
    try write(config("other.crt"), "/etc/causeway/kubeconfig")
    let agent = try cluster.agent(0)
    #expect(eventually { agent.output.contains("CERTIFICATE_VERIFY_FAILED") }, "\(agent.output)")
    try write(config("ca.crt"), "/etc/causeway/kubeconfig")
    try node.expectRoutes(KubeAccessTests.routes, agent, within: .seconds(30))
    agent.stop()
  }

  @Test func aCertificateForAnotherNameNeedsTheServerNameOption() throws {
    server.stop()
    try server.machine.sh(
      """
      cd /run/kube && echo subjectAltName=DNS:kubernetes.example >server.ext
      openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt
      """)
    try server.start()
    let config = try KubeCluster.kubeconfig(server)
    for name in [nil, "wrong.example", "kubernetes.example"] {
      let line =
        name.map { "    server: \(KubeServer.url)\n    tls-server-name: \($0)\n" } ?? "    server: \(KubeServer.url)\n"
      try write(config.replacing("    server: \(KubeServer.url)\n", with: line), "/etc/causeway/kubeconfig")
      let agent = try cluster.agent(0)
      if name == "kubernetes.example" {
        try node.expectRoutes(KubeAccessTests.routes, agent)
      } else {
        #expect(eventually { agent.output.contains("no TLS connection") }, "\(name ?? "none"): \(agent.output)")
      }
      agent.stop()
    }
  }
}
