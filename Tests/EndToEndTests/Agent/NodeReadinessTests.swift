import JSON
import Testing
import TestSupport

/// Conditions of a node's readiness, on a kernel that is made to lack nf_tables.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct NodeReadinessTests {
  /// Starts a program for which socket(2) of NETLINK_NETFILTER fails with EPROTONOSUPPORT, as on a kernel without
  /// netfilter. A seccomp filter of classic BPF does it (linux/seccomp.h), with the machine's own system call numbers.
  private static let withoutNetfilter = """
    ctypes, os, struct, sys = map(__import__, ("ctypes", "os", "struct", "sys"))
    socket, = {"x86_64": (41,), "aarch64": (198,)}[os.uname().machine]
    load, equal, ret = 0x20, 0x15, 0x06
    program = [(load, 0, 0, 0), (equal, 0, 5, socket), (load, 0, 0, 16), (equal, 0, 3, 16), (load, 0, 0, 32),
               (equal, 0, 1, 12), (ret, 0, 0, 0x00050000 | 93), (ret, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    filter = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter, 0, 0) == 0, os.strerror(ctypes.get_errno())
    os.execv(sys.argv[1], sys.argv[1:])
    """

  private static func agent(_ options: String...) -> [String] {
    [
      Binaries.hostgw, "run", "--healthz-port", "8474", "--cni-conf-source", "/etc/causeway/conf", "--cni-conf-file",
      "/etc/cni/net.d/10-c.conflist",
    ] + options
  }

  private func readiness(_ node: TestNode) throws -> String {
    try node.run(["curl", "-s", "--max-time", "5", "http://127.0.0.1:8474/readyz"]).output
  }

  /// Checks that pods without masquerading are not started, and that existing state stays.
  @Test func aNodeWithoutItsRulesIsNotReady() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("echo '{}' >/etc/causeway/conf")
    let agent = try node.start(
      ["python3", "-c", NodeReadinessTests.withoutNetfilter] + NodeReadinessTests.agent("--ip-masq"))
    #expect(try eventually { try node.podRoutes().count == 2 }, "\(agent.output)")
    #expect(try eventually { try readiness(node).contains("the rules are not in") }, "\(agent.output)")
    #expect(try node.run(["test", "-e", "/etc/cni/net.d/10-c.conflist"]).status != 0)
    let status = try node.hostgw("status", "--ip-masq").output
    #expect(status.contains("not ready: the rules are not in"), "\(status)")
    agent.stop()
    let second = try node.start(NodeReadinessTests.agent("--ip-masq"))
    defer { second.stop() }
    #expect(try eventually { try readiness(node) == "ok\n" }, "\(second.output)")
    #expect(try node.sh("cat /etc/cni/net.d/10-c.conflist") == "{}\n")
  }

  /// Leaves no free subnet to a node. A runtime that took the network configuration as readiness would start pods
  /// without addresses.
  @Test func aNodeWithoutALeaseIsNotReady() throws {
    let cluster = try EtcdCluster(
      2, config: #"{"Network": "10.244.0.0/16", "SubnetMin": "10.244.1.0", "SubnetMax": "10.244.1.0"}"#)
    let first = try cluster.agentWithLease(0)
    try cluster.nodes[1].sh("mkdir -p /etc/causeway; echo '{}' >/etc/causeway/conf")
    let second = try cluster.agent(
      1, "--healthz-port", "8474", "--cni-conf-source", "/etc/causeway/conf", "--cni-conf-file",
      "/etc/cni/net.d/10-c.conflist")
    #expect(try eventually { try readiness(cluster.nodes[1]).contains("no subnet is free") }, "\(second.output)")
    try cluster.nodes[1].sh("ip link set eth0 mtu 1400")
    #expect(try cluster.nodes[1].run(["test", "-e", "/etc/cni/net.d/10-c.conflist"]).status != 0)
    first.agent.stop()
    try cluster.etcd.ctl("del", "--prefix", "\(EtcdServer.prefix)/subnets/")
    #expect(try eventually(within: .seconds(30)) { try readiness(cluster.nodes[1]) == "ok\n" }, "\(second.output)")
    #expect(try cluster.nodes[1].sh("cat /etc/cni/net.d/10-c.conflist") == "{}\n")
  }

  @Test func aNodeThatNeedsNoRulesIsReadyWithoutNetfilter() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("echo '{}' >/etc/causeway/conf")
    let agent = try node.start(
      ["python3", "-c", NodeReadinessTests.withoutNetfilter] + NodeReadinessTests.agent("--forward-rules=false"))
    defer { agent.stop() }
    #expect(try eventually { try readiness(node) == "ok\n" }, "\(agent.output)")
    let status = try node.hostgw("status", "--json", "--forward-rules=false").output
    #expect(try JSONValue(parsing: Array(status.utf8)).object?["errors"] == [], "\(status)")
    #expect(try node.sh("cat /etc/cni/net.d/10-c.conflist") == "{}\n")
  }

  @Test func cleanRemovesTheNetworkConfigurationThatTheAgentPlaced() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("echo '{}' >/etc/causeway/conf")
    let options = ["--cni-conf-source", "/etc/causeway/conf", "--cni-conf-file", "/etc/cni/net.d/10-c.conflist"]
    for (change, stays) in [("true", false), ("echo other >/etc/cni/net.d/10-c.conflist", true)] {
      let agent = try node.start(NodeReadinessTests.agent())
      #expect(try eventually { try readiness(node) == "ok\n" }, "\(agent.output)")
      agent.stop()
      try node.sh(change)
      try node.run([Binaries.hostgw, "clean"] + options).succeeded()
      #expect(try (node.run(["test", "-e", "/etc/cni/net.d/10-c.conflist"]).status == 0) == stays)
    }
  }
}
