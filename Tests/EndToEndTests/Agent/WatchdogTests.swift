import JSON
import Linux
import TestSupport
import Testing

/// `/healthz` names a part whose pass does not end.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct WatchdogTests {
  private static let conflist: JSONValue = [
    "cniVersion": "1.0.0", "name": "podnet", "plugins": [["type": "causeway"]],
  ]

  /// Writes the record of a pod that is gone and that no runtime deletes.
  private static let lostPod = """
    cat >/run/causeway/attachments/podnet:x:eth0 <<'E'
    {"network":"podnet","containerID":"x","ifname":"eth0","netns":"/run/netns/x","device":4,"inode":1,
     "hostLink":"veth1","mac":"","addresses":[],"dataDir":"","ipMasq":false,"macspoofchk":false}
    E
    touch -d '-1 hour' /run/causeway/attachments/podnet:x:eth0
    """

  /// The status code and the text of `/healthz`.
  private func health(_ node: TestNode) throws -> String {
    try node.sh("curl -s -w '%{http_code}' http://127.0.0.1:8476/healthz || true")
  }

  /// The deletion of a lost pod blocks in the plugin, which waits for a writer of a FIFO.
  @Test func aBlockedPassIsNamedUntilItEnds() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    try KubeCluster.write(try WatchdogTests.conflist.text(), to: node, path: "/etc/causeway/podnet.conflist")
    try node.install(plugin: "causeway", "read line </run/hold")
    try node.sh("mkfifo /run/hold && mkdir -p /run/causeway/attachments /run/netns")
    try node.sh(WatchdogTests.lostPod)
    let agent = try node.start(
      [
        Binaries.hostgw, "run", "--cni-conf-source", "/etc/causeway/podnet.conflist", "--cni-conf-file",
        "/etc/cni/net.d/10-podnet.conflist", "--gc-interval", "1s", "--healthz-port", "8476",
      ])
    #expect(try eventually { try health(node) == "ok\n200" }, "\(agent.output)")
    let isOverdue = try eventually(within: .seconds(30)) {
      let answer = try health(node)
      return answer.hasPrefix("pods: the pass has not ended for ") && answer.hasSuffix("503")
    }
    #expect(isOverdue, "\(agent.output)")
    // The other parts go on, and the node is ready.
    #expect(try node.sh("curl -s http://127.0.0.1:8476/readyz") == "ok\n")
    try node.install(plugin: "causeway", "rm -f /run/causeway/attachments/podnet:x:eth0")
    try node.sh("echo >/run/hold")
    #expect(try eventually(within: .seconds(30)) { try health(node) == "ok\n200" }, "\(agent.output)")
    // A pass that ends with an error has ended.
    try node.install(plugin: "causeway", "touch /run/failed; exit 1")
    try node.sh(WatchdogTests.lostPod)
    #expect(try eventually(within: .seconds(30)) { try node.sh("test -e /run/failed && echo yes || true") == "yes\n" })
    try node.sh("sleep 4")
    #expect(try health(node) == "ok\n200", "\(agent.output)")
  }
}
