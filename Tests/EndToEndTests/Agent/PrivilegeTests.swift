import JSON
import Testing
import TestSupport

/// The capabilities that the agent keeps, and its work with no more than the manifest's.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct PrivilegeTests {
  /// CAP_DAC_OVERRIDE is 1, CAP_NET_BIND_SERVICE 10, CAP_NET_ADMIN 12, CAP_NET_RAW 13, CAP_PERFMON 38, CAP_BPF 39
  /// (linux/capability.h).
  @Test(
    arguments: [
      ([], "1002"), (["--healthz-port", "80"], "1402"), (["--fast-path", "off"], "1002"),
      (["--fast-path", "auto"], "c000001002"), (["--fast-path", "on"], "c000001002"),
      (["--cni-conf-source", "/etc/causeway/conf", "--cni-conf-file", "/etc/cni/net.d/10-c.conflist"], "3002"),
      (
        [
          "--cni-conf-source", "/etc/causeway/conf", "--cni-conf-file", "/etc/cni/net.d/10-c.conflist", "--gc-interval",
          "0s",
        ], "1002"
      ),
    ] as [([String], String)])
  func rootKeepsOnlyTheCapabilitiesItNeeds(_ options: [String], _ mask: String) throws {
    let cluster = try Cluster(3)
    let node = cluster.nodes[0]
    try node.sh("echo '{}' >/etc/causeway/conf; mount -t bpf bpf /sys/fs/bpf")
    let agent = try node.start([Binaries.hostgw, "run"] + options)
    try node.expectRoutes(AgentFixture.routes, agent)
    let set = String(repeating: "0", count: 16 - mask.count) + mask
    #expect(
      try Set(agent.threadStatus("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")) == [
        "CapInh: 0000000000000000", "CapPrm: \(set)", "CapEff: \(set)", "CapBnd: \(set)", "CapAmb: 0000000000000000",
        "NoNewPrivs: 1",
      ])
    // The remaining capabilities are enough to load programs again.
    if options.contains("on") {
      try node.removePins()
      try node.sh("ip link add more type bridge")
      #expect(
        try eventually(within: .seconds(60)) {
          try node.run(["test", "-e", "/sys/fs/bpf/causeway/to_pod"]).status == 0
        },
        "\(agent.output)")
    }
    if options.contains("80") {
      #expect(try eventually { try node.run(["curl", "-s", "http://127.0.0.1/healthz"]).output == "ok\n" })
    }
  }

  /// Starts an agent with fewer capabilities, which keeps those.
  @Test func missingCapabilitiesAreNotAdded() throws {
    let cluster = try Cluster(3)
    let node = cluster.nodes[0]
    let agent = try node.start([
      "setpriv", "--bounding-set", "-all,+net_admin", "--inh-caps", "-all", Binaries.hostgw, "run",
    ])
    try node.expectRoutes(AgentFixture.routes, agent)
    #expect(
      try Set(agent.threadStatus("CapEff", "CapBnd")) == ["CapEff: 0000000000001000", "CapBnd: 0000000000001000"])
  }

  /// Uses the capabilities of conf/kubernetes/causeway.yaml on a node whose directories belong to another user.
  @Test func theManifestsCapabilitiesAllowForeignDirectories() throws {
    let cluster = try Cluster(3)
    let node = cluster.nodes[0]
    let directories = "/etc/cni/net.d /run/causeway /var/lib/causeway /var/lib/cni/networks"
    try node.sh("echo '{}' >/etc/causeway/conf; mkdir -p \(directories); chown 997 \(directories)")
    let command = [
      Binaries.hostgw, "run", "--cni-conf-source", "/etc/causeway/conf", "--cni-conf-file",
      "/etc/cni/net.d/10-c.conflist",
    ]
    func confined(_ set: String) throws -> RunningProgram {
      try node.start(["setpriv", "--bounding-set", set, "--inh-caps", "-all", "--no-new-privs"] + command)
    }
    let refused = try confined("-all,+net_admin")
    #expect(try refused.exitStatus() == 1 && refused.output.contains("Permission denied"), "\(refused.output)")
    let agent = try confined("-all,+net_admin,+dac_override")
    try node.expectRoutes(AgentFixture.routes, agent)
    #expect(
      try eventually {
        try node.run(["cat", "/etc/cni/net.d/10-c.conflist", "/var/lib/causeway/lease.env"]).status == 0
      }, "\(agent.output)")
  }
}
