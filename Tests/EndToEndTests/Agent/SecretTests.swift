import JSON
import Testing
import TestSupport

/// Passwords, tokens and keys appear in no output, at any log level and in any error.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct SecretTests {
  /// All output of a node's agent.
  private func allOutput(_ node: TestNode, _ agent: RunningProgram, _ options: [String]) throws -> String {
    let serves = try eventually {
      try node.sh("curl -s http://127.0.0.1:8474/metrics || true").contains("causeway_info")
    }
    #expect(serves, "\(agent.output)")
    let answers = try [
      ["curl", "-s", "http://127.0.0.1:8474/metrics"], ["curl", "-s", "http://127.0.0.1:8474/readyz"],
      [Binaries.hostgw, "status"] + options, [Binaries.hostgw, "status", "--json"] + options,
      ["cat", "/proc/\(agent.processID)/cmdline"], ["sh", "-c", "cat /run/causeway/* /var/lib/causeway/* 2>&1"],
    ].map { try node.run($0) }
    return answers.map { $0.output + $0.errors }.joined() + agent.output
  }

  /// Expects none of these texts, plain or in Base64.
  private func expect(_ text: String, without secrets: [String], sourceLocation: SourceLocation = #_sourceLocation)
    throws
  {
    for secret in secrets {
      let encoded = try run(["base64", "-w", "0"], input: secret).output.prefix { $0 != "=" }
      for form in [secret, String(encoded.dropLast(2))] {
        #expect(!text.contains(form), "\(form)\n\(text)", sourceLocation: sourceLocation)
      }
    }
  }

  @Test(arguments: ["text", "json"])
  func etcdPasswordsAndTokensAreNotShown(_ format: String) throws {
    let cluster = try EtcdCluster(1)
    let (etcd, node) = (cluster.etcd, cluster.nodes[0])
    try etcd.ctl("user", "add", "root:top")
    try etcd.ctl("user", "grant-role", "root", "root")
    try etcd.ctl("user", "add", "flannel:hush-canal")
    try etcd.ctl("role", "add", "net")
    try etcd.ctl("role", "grant-permission", "net", "--prefix=true", "readwrite", EtcdServer.prefix)
    try etcd.ctl("user", "grant-role", "flannel", "net")
    try etcd.ctl("auth", "enable")
    let options = cluster.storeOptions + ["--etcd-username", "flannel", "--log-level", "trace", "--log-format", format]
    for password in ["hush-canal", "hush-mistake"] {
      try node.run(
        ["sh", "-ec", "umask 077; cat >/etc/causeway/hostgw.json"], input: #"{"etcd-password": "\#(password)"}"#
      )
      .succeeded()
      let all = options + ["--config", "/etc/causeway/hostgw.json"]
      let agent = try node.start([Binaries.hostgw, "run", "--healthz-port", "8474"] + all)
      if password == "hush-canal" {
        _ = try cluster.subnet(0, agent)
      } else {
        #expect(eventually { agent.output.contains("invalid user ID or password") }, "\(agent.output)")
      }
      etcd.stop(0)
      #expect(eventually { agent.output.contains("efused") || agent.output.contains("reach") }, "\(agent.output)")
      let text = try allOutput(node, agent, all)
      try expect(text, without: [password])
      // etcd's tokens are sixteen letters, a dot and a number.
      let tokens = text.matches(of: try Regex("[A-Za-z]{16}\\.[0-9]+"))
      #expect(tokens.isEmpty, "\(text)")
      agent.stop()
      try etcd.start(0)
      try etcd.waitUntilHealthy()
    }
  }

  @Test func kubernetesCredentialsAreNotShown() throws {
    let cluster = try KubeCluster(1)
    let (server, node) = (cluster.server, cluster.nodes[0])
    let config = try KubeCluster.kubeconfig(server)
    let key = try server.file("client.key")
    let line = String(key.split(separator: "\n")[1])
    let inline = try run(["base64", "-w", "0"], input: key).output
    let users = [
      "{token: token-1}", "{token: hush-wrong}", "{token: 80475011}", "{token: [hush-list]}",
      "{token: hush-\n  broken: [}",
      "{client-certificate: /etc/causeway/none.crt, client-key-data: \(inline)}",
    ]
    let options = cluster.options(0) + ["--log-level", "trace"]
    for user in users {
      try KubeCluster.write(
        config.replacing("{token: token-1}", with: user), to: node, path: "/etc/causeway/kubeconfig")
      let agent = try node.start([Binaries.hostgw, "run", "--healthz-port", "8474"] + options)
      let isRight = user == users[0]
      let words = isRight ? "subnets of this node" : "no subnet: "
      #expect(eventually { agent.output.contains(words) }, "\(agent.output)")
      if isRight { try server.command(["do": "drop"]) }
      let text = try allOutput(node, agent, options)
      try expect(text, without: ["token-1", "hush-wrong", "80475011", "hush-list", "hush-", line])
      agent.stop()
    }
  }

  /// Uses an API without TLS. A token there could be read on the network.
  @Test func noTokenIsSentOverAnUnencryptedConnection() throws {
    let cluster = try KubeCluster(1)
    let node = cluster.nodes[0]
    let listener = try node.start([
      "python3", "-uc",
      """
      server = __import__("http.server").server
      class Handler(server.BaseHTTPRequestHandler):
          def do_GET(self):
              print(self.path, self.headers.as_string(), flush=True)
              self.send_error(403)
      server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
      """,
    ])
    let agent = try node.start(
      [Binaries.hostgw, "run"] + cluster.options(0) + ["--kube-api-url", "http://127.0.0.1:8080"])
    defer { agent.stop() }
    #expect(eventually(within: .seconds(30)) { listener.output.contains("/api/v1/nodes") }, "\(agent.output)")
    #expect(!listener.output.lowercased().contains("authorization"), "\(listener.output)")
    try expect(listener.output, without: ["token-1"])
  }
}
