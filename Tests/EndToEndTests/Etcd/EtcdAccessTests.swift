import Testing
import TestSupport

/// Users, passwords and certificates of etcd.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct EtcdAccessTests {
  @Test func wrongCredentialsAreReportedAndExpiredTokensRenewed() throws {
    let cluster = try EtcdCluster(1)
    let etcd = cluster.etcd
    let root = "--user=root:top"
    try etcd.putRecord("10.244.2.0-24", of: "192.0.2.12")
    try etcd.ctl("user", "add", "root:top")
    try etcd.ctl("user", "add", "flannel:canal")
    try etcd.ctl("role", "add", "net")
    try etcd.ctl("role", "grant-permission", "net", "--prefix=true", "readwrite", EtcdServer.prefix)
    try etcd.ctl("user", "grant-role", "root", "root")
    try etcd.ctl("user", "grant-role", "flannel", "net")
    try etcd.ctl("auth", "enable")

    let without = try cluster.agent(0)
    #expect(eventually { without.output.contains("--etcd-username") }, "\(without.output)")
    without.stop()
    let wrong = try cluster.agent(0, "--etcd-username", "flannel", "--etcd-password", "secret-mistake")
    #expect(eventually { wrong.output.contains("invalid user ID or password") }, "\(wrong.output)")
    #expect(wrong.isRunning && !wrong.output.contains("secret-mistake"), "\(wrong.output)")
    wrong.stop()

    let agent = try cluster.nodes[0].start(
      [Binaries.hostgw, "run"] + cluster.storeOptions + ["--etcd-username", "flannel", "--log-level", "trace"],
      environment: ["CAUSEWAY_ETCD_PASSWORD": "canal"])
    try cluster.nodes[0].expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent)
    // A restart of the member invalidates its tokens.
    etcd.stop(0)
    try etcd.start(0)
    try etcd.waitUntilHealthy()
    try etcd.ctl(root, "put", "\(EtcdServer.prefix)/subnets/10.244.3.0-24", EtcdServer.value("192.0.2.13"))
    try cluster.nodes[0].expectRoutes(
      ["10.244.2.0/24 via 192.0.2.12", "10.244.3.0/24 via 192.0.2.13"], agent, within: .seconds(30))
    #expect(!agent.output.contains("canal"), "\(agent.output)")

    // A user that may only read gets routes, and an error that explains the missing subnet.
    try etcd.ctl(root, "role", "revoke-permission", "net", "--prefix=true", EtcdServer.prefix)
    try etcd.ctl(root, "role", "grant-permission", "net", "--prefix=true", "read", EtcdServer.prefix)
    agent.stop()
    try etcd.ctl(root, "del", "--prefix", "\(EtcdServer.prefix)/subnets/10.244.")
    let reader = try cluster.agent(0, "--etcd-username", "flannel", "--etcd-password", "canal")
    #expect(eventually { reader.output.contains("permission denied") }, "\(reader.output)")
    #expect(reader.isRunning)
    // The agent retries with the one lease that it has been granted.
    let (grants, tries) = (try etcd.calls("LeaseGrant"), try etcd.calls("Txn"))
    #expect(try eventually(within: .seconds(60)) { try etcd.calls("Txn") >= tries + 3 }, "\(reader.output)")
    #expect(try etcd.calls("LeaseGrant") == grants)
  }

  /// Makes an authority and certificates of a server and clients, one of them expired.
  private static let certificates = """
    mkdir /run/tls && cd /run/tls
    openssl ecparam -name prime256v1 -genkey -noout -out ca.key
    openssl req -x509 -new -key ca.key -subj /CN=authority -days 2 -out ca.crt
    for name in server client expired; do
      openssl ecparam -name prime256v1 -genkey -noout -out $name.key
      openssl req -new -key $name.key -subj /CN=$name -out $name.csr
      echo "subjectAltName=IP:192.0.2.201" >$name.ext
      [ $name = expired ] && days=-1 || days=2
      openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days $days -extfile $name.ext -out $name.crt
    done
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout other.key -subj /CN=other -days 2 -out other.crt
    """

  @Test func missingAndExpiredClientCertificatesAreReported() throws {
    let cluster = try EtcdCluster(
      1,
      .init(
        scheme: "https",
        options: [
          "--cert-file", "/run/tls/server.crt", "--key-file", "/run/tls/server.key", "--client-cert-auth",
          "--trusted-ca-file", "/run/tls/ca.crt",
        ],
        clientOptions: [
          "--cacert", "/run/tls/ca.crt", "--cert", "/run/tls/client.crt", "--key", "/run/tls/client.key",
        ], prepare: EtcdAccessTests.certificates))
    let node = cluster.nodes[0]
    try cluster.etcd.putRecord("10.244.2.0-24", of: "192.0.2.12")
    let files = try cluster.etcd.members[0].run(["tar", "-C", "/run/tls", "-c", "."]).succeeded()
    #expect(!files.output.isEmpty)
    for name in ["ca.crt", "other.crt", "client.crt", "client.key", "expired.crt", "expired.key"] {
      let text = try cluster.etcd.members[0].sh("cat /run/tls/\(name)")
      try node.run(["sh", "-ec", "mkdir -p /run/tls && cat >/run/tls/\(name)"], input: text).succeeded()
    }
    func agent(_ authority: String, _ client: String?) throws -> RunningProgram {
      let certificate = client.map {
        ["--etcd-certfile", "/run/tls/\($0).crt", "--etcd-keyfile", "/run/tls/\($0).key"]
      }
      return try node.start(
        [Binaries.hostgw, "run"] + cluster.storeOptions + ["--etcd-cafile", "/run/tls/\(authority).crt"]
          + (certificate ?? []))
    }
    let stranger = try agent("other", "client")
    #expect(eventually { stranger.output.contains("CERTIFICATE_VERIFY_FAILED") }, "\(stranger.output)")
    stranger.stop()
    let anonymous = try agent("ca", nil)
    #expect(eventually { anonymous.output.contains("can't be read") }, "\(anonymous.output)")
    anonymous.stop()
    let late = try agent("ca", "expired")
    #expect(eventually { late.output.contains("can't be read") }, "\(late.output)")
    #expect(try late.isRunning && node.podRoutes().isEmpty)
    // A certificate renewed on disk is used immediately.
    try node.sh("cp /run/tls/client.key /run/tls/expired.key && cp /run/tls/client.crt /run/tls/expired.crt")
    try node.expectRoutes(["10.244.2.0/24 via 192.0.2.12"], late, within: .seconds(30))
    late.stop()
    let missing = try agent("ca", "nothing")
    #expect(eventually { missing.output.contains("/run/tls/nothing.crt") }, "\(missing.output)")
  }
}
