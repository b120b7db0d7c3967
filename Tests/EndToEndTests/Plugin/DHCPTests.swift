import JSON
import Testing
import TestSupport

/// Addresses from a DHCP server on the bridge, through the reference's `dhcp` plugin and its daemon. The packets pass
/// the pod's veth pair.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct DHCPTests {
  /// A node with a server on its bridge.
  private struct Fixture {
    let node: TestNode
    let runtime: Runtime
    let configuration: JSONObject
    private let server: RunningProgram
    private let daemon: RunningProgram

    init(_ version: String) throws {
      node = try TestNode()
      try node.addPod("server")
      try node.sh(
        """
        ip link add bridge0 type bridge && ip link set bridge0 up
        ip link add server master bridge0 type veth peer name eth0 netns server && ip link set server up
        ip -netns server link set eth0 up && ip -netns server address add 10.1.2.1/24 dev eth0
        mkdir -p /run/cni && : >/run/leases && cat >/run/udhcpd.conf <<END
        start 10.1.2.20
        end 10.1.2.29
        interface eth0
        lease_file /run/leases
        pidfile /run/udhcpd.pid
        option subnet 255.255.255.0
        option router 10.1.2.1
        option lease 3600
        END
        """)
      server = try node.start([
        "ip", "netns", "exec", "server", "busybox", "udhcpd", "-f", "-a", "0", "/run/udhcpd.conf",
      ])
      daemon = try node.start(["/usr/lib/cni/dhcp", "daemon"])
      var runtime = try Runtime.reference("bridge", version, node: node)
      runtime.searchPath = "/opt/cni/bin:/usr/lib/cni"
      self.runtime = runtime
      configuration = runtime.layer2Configuration(["ipam": ["type": "dhcp"]])
      let isUp = try eventually { try node.run(["test", "-S", "/run/cni/dhcp.sock"]).status == 0 }
      #expect(isUp && server.isRunning, "\(daemon.output) \(server.output)")
    }

    /// The addresses that the server has leased. On SIGUSR1 it writes its lease file.
    func held() throws -> [String] {
      // SIGUSR1
      server.signal(10)
      return try node.lines("busybox dumpleases -f /run/leases | awk 'NR > 1 && $NF != \"expired\" { print $2 }'")
    }
  }

  @Test(arguments: ["0.3.1", "1.0.0"]) func addressesAreLeasedAndReleasedThroughTheVethPair(_ version: String) throws {
    let fixture = try Fixture(version)
    let (node, runtime, configuration) = (fixture.node, fixture.runtime, fixture.configuration)
    for pod in ["a", "b"] { try node.addPod(pod) }
    let answers = try ["a", "b"].map { try runtime.add($0, configuration) }
    #expect(Set(answers.flatMap(\.addresses)).count == 2)
    for (pod, answer) in zip(["a", "b"], answers) {
      #expect(try node.addresses("eth0", inPod: pod) == answer.addresses)
      #expect(try node.defaultRoutes(inPod: pod).map { $0["gateway"]?.string } == ["10.1.2.1"])
      #expect(try node.ping(from: pod, "10.1.2.1"))
      if version >= "0.4.0" { try runtime.check(pod, answer, configuration: configuration).process.succeeded() }
    }
    let areHeld = try eventually { try Set(fixture.held()) == Set(answers.flatMap(\.hosts)) }
    #expect(areHeld)
    try runtime.delete("a", configuration)
    let isReleased = try eventually { try fixture.held() == answers[1].hosts }
    #expect(isReleased, "the server got no release")
    // The daemon needs no namespace for the release.
    try runtime.call("DEL", nil, id: "b", configuration: configuration).process.succeeded()
    let areReleased = try eventually { try fixture.held() == [] }
    #expect(areReleased)
    #expect(try node.remains() == [])
  }
}
