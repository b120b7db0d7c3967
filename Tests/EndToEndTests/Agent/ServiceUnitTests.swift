import JSON
import Testing
import TestSupport

/// The agent under the restrictions of `conf/causeway-hostgw.service`.
@Suite(.requiresRoot, .timeLimit(.minutes(3)))
struct ServiceUnitTests {
  private let unit: ServiceUnit

  init() throws { unit = try ServiceUnit() }

  /// Starts the unit's own command with more options.
  ///
  /// - Parameter other: the unit with a drop-in.
  private func start(
    _ node: TestNode, _ options: [String] = [], under other: ServiceUnit? = nil
  ) throws -> RunningProgram {
    let unit = other ?? unit
    try node.sh("cp \(Binaries.hostgw) \(Binaries.causeway) /opt/cni/bin/")
    let command = unit.words("ExecStart")
    #expect(command.first == "/opt/cni/bin/causeway-hostgw")
    return try node.start(try unit.enter + command + options)
  }

  /// Checks that the restrictions have an effect, without which the other tests prove nothing.
  @Test(arguments: [
    ("open('/etc/causeway/x', 'w')", "Read-only file system"), ("open('/usr/x', 'w')", "Read-only file system"),
    ("open('/proc/sys/net/ipv4/ip_forward', 'w')", "Read-only file system"),
    ("os.listdir('/root')", "Permission denied"),
    ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)", nil), ("os.chown('/run/causeway', 0, 0)", nil),
    ("getattr(ctypes.CDLL(None), 'unshare')(0x20000000)", nil), ("ctypes.CDLL(None).mount(0, 0, 0, 0, 0)", nil),
    ("mmap.mmap(-1, 4096, prot=7)", nil),
  ])
  func theRestrictionsAreEffective(_ statement: String, _ words: String?) throws {
    let node = try TestNode()
    let script =
      "ctypes, mmap, os, socket = map(__import__, ('ctypes', 'mmap', 'os', 'socket')); open('/run/causeway/x', 'w').close(); print('began', flush=True); \(statement)"
    let result = try node.run(try unit.enter + ["/usr/bin/python3", "-c", script])
    #expect(result.output == "began\n" && result.status != 0, "\(result)")
    // The filter kills the process by SIGSYS.
    #expect(words.map { result.errors.contains($0) } ?? (result.status == 128 + 31), "\(result)")
  }

  @Test func routesRulesAndPodsWork() throws {
    let cluster = try Cluster(3)
    let node = cluster.nodes[0]
    try node.sh(
      """
      mkdir -p /etc/cni/net.d
      echo '{"cniVersion": "1.0.0", "name": "podnet", "plugins": [{"type": "causeway"}]}' >/etc/causeway/podnet.conflist
      """)
    let runtime = Runtime(node: node)
    try node.addPod("dead")
    try runtime.add("dead", runtime.configuration(["ipMasq": true, "macspoofchk": true]))
    try node.removePod("dead")
    try node.sh("touch -d '-1 hour' /run/causeway/attachments/podnet:dead:eth0")
    #expect(try !node.leases().isEmpty)
    let agent = try start(
      node,
      [
        "--ip-masq", "--forward-insert", "--take-over-flannel", "--healthz-port", "8474", "--gc-interval", "1s",
        "--cni-conf-source", "/etc/causeway/podnet.conflist", "--cni-conf-file", "/etc/cni/net.d/10-podnet.conflist",
      ])
    try node.expectRoutes(AgentFixture.routes, agent, within: .seconds(60))
    #expect(
      try eventually {
        try node.run(["curl", "-s", "http://127.0.0.1:8474/readyz"]).output == "ok\n"
          && node.run(["test", "-e", "/etc/cni/net.d/10-podnet.conflist"]).status == 0
      }, "\(agent.output)")
    #expect(try eventually { try node.leases().isEmpty && node.records().isEmpty }, "\(agent.output)")
    // The agent follows the nodes file and the kernel's routes, links and rules.
    try Cluster.write(Cluster.nodesFile([0, 2]), to: node)
    try node.expectRoutes([AgentFixture.routes[1], AgentFixture.routes[3]], agent)
    try node.sh("ip route flush proto 202 || true; nft delete table inet causeway; iptables -P FORWARD DROP")
    try node.expectRoutes([AgentFixture.routes[1], AgentFixture.routes[3]], agent)
    #expect(
      try eventually { try node.run(["nft", "list", "table", "inet", "causeway"]).status == 0 }, "\(agent.output)")
    #expect(try eventually { try node.sh("nft list chain ip filter FORWARD").contains("accept") }, "\(agent.output)")
    try node.sh("ip link set eth0 mtu 1400")
    #expect(
      try eventually { try node.sh("cat /run/causeway/subnet.env /var/lib/causeway/lease.env").contains("1400") },
      "\(agent.output)")
    #expect(try node.hostgw("status").output.contains("Agent:   runs since"))
    #expect(try node.sh("curl -s http://127.0.0.1:8474/metrics").contains("causeway_ready 1"))
    agent.signal(15)
    #expect(try agent.exitStatus() == 0, "\(agent.output)")
  }

  /// Runs VXLAN, which needs another `rp_filter` than the node's default. /proc/sys is read-only in the unit.
  @Test(.requires(.vxlan)) func vxlanWorks() throws {
    let cluster = try RoutedCluster(["Type": "vxlan", "DirectRouting": true])
    let node = cluster.nodes[0]
    try node.sh("for i in all default; do echo 1 >/proc/sys/net/ipv4/conf/$i/rp_filter; done")
    let agent = try start(node, ["--node-name", "node-a"])
    #expect(try eventually(within: .seconds(30)) { try node.podRoutes().count == 6 }, "\(agent.output)")
    #expect(try node.sh("cat /proc/sys/net/ipv4/conf/flannel.1/rp_filter") == "2\n", "\(agent.output)")
    #expect(try eventually(within: .seconds(30)) { try cluster.isReady(0) }, "\(agent.output)")
    agent.signal(15)
    #expect(try agent.exitStatus() == 0, "\(agent.output)")
  }

  /// Starts the fast path with the drop-in, and removes it without.
  @Test func theFastPathWorksWithItsDropIn() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("mount -t bpf bpf /sys/fs/bpf")
    let agent = try start(node, under: ServiceUnit(dropIns: "causeway-hostgw-fast-path.conf"))
    let isAttached = try eventually(within: .seconds(30)) { try node.sh("tc qdisc show dev eth0").contains("clsact") }
    #expect(isAttached, "\(agent.output)")
    #expect(try eventually { try node.hostgw("status").output.contains("Fast:    on, flows known by") })
    #expect(try node.sh("cat /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal") == "1\n")
    agent.signal(15)
    #expect(try agent.exitStatus() == 0, "\(agent.output)")
    let without = try start(node)
    let isRemoved = try eventually(within: .seconds(30)) {
      try node.sh("find /sys/fs/bpf -name causeway; tc qdisc show").split(separator: "\n").allSatisfy {
        $0.contains("noqueue")
      }
    }
    #expect(isRemoved, "\(without.output)")
  }

  @Test func anEtcdLeaseWorks() throws {
    let cluster = try EtcdCluster(1)
    try cluster.etcd.putRecord("10.244.2.0-24", of: "192.0.2.12")
    let node = cluster.nodes[0]
    let agent = try start(
      node, cluster.storeOptions + ["--subnet-lease-ttl", "3s", "--subnet-lease-renew-margin", "1"])
    _ = try cluster.subnet(0, agent)
    try node.expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent, within: .seconds(60))
    cluster.etcd.stop(0)
    #expect(
      eventually { agent.output.contains("can't be reached") || agent.output.contains("refused") }, "\(agent.output)")
    try cluster.etcd.start(0)
    try cluster.etcd.waitUntilHealthy()
    try cluster.etcd.putRecord("10.244.3.0-24", of: "192.0.2.13")
    try node.expectRoutes(
      ["10.244.2.0/24 via 192.0.2.12", "10.244.3.0/24 via 192.0.2.13"], agent, within: .seconds(30))
    agent.signal(15)
    #expect(try agent.exitStatus() == 0, "\(agent.output)")
  }

  @Test func aKubernetesNodeWorks() throws {
    let cluster = try KubeCluster(1)
    try cluster.server.put(KubeCluster.node("node-b", podCIDRs: ["10.244.2.0/24"], addresses: ["192.0.2.12"]))
    let agent = try start(cluster.nodes[0], cluster.options(0))
    try cluster.nodes[0].expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent, within: .seconds(60))
    agent.signal(15)
    #expect(try agent.exitStatus() == 0, "\(agent.output)")
  }
}
