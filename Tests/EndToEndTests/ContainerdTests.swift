import JSON
import Testing
import TestSupport

/// containerd's own client makes pods with the files of `conf`, the binaries put in place by `hack/install`.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct ContainerdTests {
  /// A containerd in a node, without image store: containers run from a folder with busybox.
  private final class Containerd {
    let node: TestNode
    private let daemon: RunningProgram
    private static let socket = "/run/containerd-test/socket"

    init(_ node: TestNode) throws {
      self.node = node
      try node.sh(
        """
        mkdir -p /run/containerd-test /run/rootfs/bin /etc/cni/net.d
        cp /bin/busybox /run/rootfs/bin/ && for name in sh ip ping sleep; do ln -s busybox /run/rootfs/bin/$name; done
        cat >/run/containerd-test/config.toml <<END
        version = 2
        root = "/run/containerd-test/root"
        state = "/run/containerd-test/state"
        disabled_plugins = ["io.containerd.grpc.v1.cri"]
        [grpc]
        address = "\(Containerd.socket)"
        END
        \(Binaries.packageRoot)/hack/install
        cp /usr/lib/cni/portmap /opt/cni/bin/
        cp \(Binaries.packageRoot)/conf/10-causeway.conflist /etc/cni/net.d/
        """)
      daemon = try node.start(["containerd", "--config", "/run/containerd-test/config.toml"])
      let isUp = try eventually { try node.run(["ctr", "--address", Containerd.socket, "version"]).status == 0 }
      #expect(isUp, "\(daemon.output)")
    }

    /// `ctr run --cni`; a container that is detached must be removed by `remove`.
    func run(_ name: String, detach: Bool = false, _ command: String...) throws -> CommandResult {
      try node.run(
        [
          "ctr", "--address", Containerd.socket, "run", "--cni", detach ? "--detach" : "--rm", "--rootfs",
          "/run/rootfs", name,
        ]
          + command)
    }

    func remove(_ name: String) throws {
      try node.run(["ctr", "--address", Containerd.socket, "task", "kill", "--signal", "KILL", name])
        .succeeded()
      _ = try eventually {
        try node.run(["ctr", "--address", Containerd.socket, "container", "delete", name]).status == 0
      }
    }
  }

  @Test func ctrRunGivesAWorkingPod() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let containerd = try Containerd(node)
    // A pod on the other node, from a plain shell.
    let other = cluster.nodes[1]
    try other.addPod("a")
    let runtime = Runtime(node: other)
    let hostgw: JSONObject = ["ipam": .null, "hostgw": ["nodes-file": "/etc/causeway/nodes.json"]]
    let hosts = try runtime.add("a", runtime.configuration(hostgw)).hosts
    #expect(hosts == ["10.244.2.2", "fd00:10:244:2::2"])

    let shown = try containerd.run("shown", "/bin/ip", "address", "show", "eth0").succeeded().output
    #expect(shown.contains("10.244.1.2/24") && shown.contains("fd00:10:244:1::2/64"), "\(shown)")
    for host in hosts {
      try containerd.run("pinging", "/bin/ping", "-c", "1", "-W", "2", host).succeeded()
    }
    #expect(try node.remains() == [])

    try containerd.run("lasting", detach: true, "/bin/sleep", "60").succeeded()
    #expect(try node.leases().count == 2)
    let addresses = try node.leases().compactMap { $0.split(separator: "/").last.map { String($0) } }
    for address in addresses where !address.contains(":") {
      #expect(try other.ping(from: "a", address))
    }
    try containerd.remove("lasting")
  }
}
