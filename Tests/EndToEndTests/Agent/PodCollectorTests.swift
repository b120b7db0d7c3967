import JSON
import Linux
import Testing
import TestSupport

/// The agent deletes the state of pods that no longer exist and that no runtime deletes.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct PodCollectorTests {
  private static let conflist: JSONValue = [
    "cniVersion": "1.0.0", "name": "podnet",
    "plugins": [
      ["type": "causeway", "ipMasq": true, "macspoofchk": true],
      ["type": "portmap", "capabilities": ["portMappings": true]],
    ],
  ]

  private func agent(_ node: TestNode, _ options: String...) throws -> RunningProgram {
    try node.start(
      [
        Binaries.hostgw, "run", "--cni-conf-source", "/etc/causeway/podnet.conflist", "--cni-conf-file",
        "/etc/cni/net.d/10-podnet.conflist",
      ] + options)
  }

  /// Makes the record of an attachment as old as that of a pod that has run for an hour.
  private func age(_ node: TestNode, _ pod: String) throws {
    try node.sh("touch -d '-1 hour' /run/causeway/attachments/podnet:\(pod):eth0")
  }

  @Test func onlyVanishedPodsAreDeleted() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    try KubeCluster.write(try PodCollectorTests.conflist.text(), to: node, path: "/etc/causeway/podnet.conflist")
    try node.sh("cp \(Binaries.causeway) /opt/cni/bin/causeway")
    let agent = try agent(node, "--gc-interval", "1s")
    let runtime = Runtime(node: node)
    #expect(
      try eventually { try node.run(["test", "-e", "/etc/cni/net.d/10-podnet.conflist"]).status == 0 },
      "\(agent.output)")
    let plugin = runtime.configuration(["ipMasq": true, "macspoofchk": true])
    for pod in ["dead", "young", "alive", "uncabled"] {
      try node.addPod(pod)
      try runtime.add(pod, plugin)
    }
    let before = try node.leases()
    #expect(before.count == 8, "\(before)")
    for pod in ["dead", "alive", "uncabled"] { try age(node, pod) }
    // This pod still has its namespace, without its veth pair.
    try node.run(inPod: "uncabled", ["ip", "link", "delete", "eth0"]).succeeded()
    for pod in ["dead", "young"] { try node.removePod(pod) }
    #expect(
      try eventually(within: .seconds(30)) { try !node.records().contains { $0.contains(":dead:") } }, "\(agent.output)"
    )
    #expect(eventually { agent.output.contains("what was left of a pod is deleted") }, "\(agent.output)")
    // The record is new again, however long the test has taken.
    try node.sh("touch -c /run/causeway/attachments/podnet:young:eth0")
    MonotonicTime.sleep(.seconds(3))
    let records = try node.records()
    #expect(records.count == 3 && records.contains { $0.contains(":young:") }, "\(records)")
    #expect(try node.leases().count == 6)
    let rules = try node.sh("nft list ruleset")
    #expect(!rules.contains("podnet:dead:") && rules.contains("podnet:alive:"), "\(rules)")
    // An older record without a pod is deleted.
    try age(node, "young")
    #expect(
      try eventually(within: .seconds(30)) { try !node.records().contains { $0.contains(":young:") } },
      "\(agent.output)")
    #expect(try node.leases().count == 4)
    #expect(try node.ping(from: "alive", "10.9.0.1"))
  }

  @Test func aMissingOrFailingPluginIsReported() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    try KubeCluster.write(try PodCollectorTests.conflist.text(), to: node, path: "/etc/causeway/podnet.conflist")
    try node.sh(
      """
      mkdir -p /run/causeway/attachments /run/netns /opt/helper && cp \(Binaries.hostgw) /opt/helper/
      cat >/run/causeway/attachments/podnet:x:eth0 <<'E'
      {"network":"podnet","containerID":"x","ifname":"eth0","netns":"/run/netns/x","device":4,"inode":1,
       "hostLink":"veth1","mac":"","addresses":[],"dataDir":"","ipMasq":false,"macspoofchk":false}
      E
      touch -d '-1 hour' /run/causeway/attachments/podnet:x:eth0
      """)
    let agent = try node.start(
      [
        "/opt/helper/causeway-hostgw", "run", "--cni-conf-source", "/etc/causeway/podnet.conflist", "--cni-conf-file",
        "/etc/cni/net.d/10-podnet.conflist", "--gc-interval", "1s",
      ])
    #expect(eventually(within: .seconds(30)) { agent.output.contains("correct --cni-bin-dir") }, "\(agent.output)")
    try node.install(plugin: "causeway", #"echo '{"code":100,"msg":"not today"}'; exit 1"#)
    #expect(eventually(within: .seconds(30)) { agent.output.contains("not today") }, "\(agent.output)")
    // The plugin is also found beside the helper.
    try node.sh("rm /opt/cni/bin/causeway && cp \(Binaries.causeway) /opt/helper/")
    #expect(try eventually(within: .seconds(30)) { try node.records().isEmpty }, "\(agent.output)")
  }
}
