import Addresses
import JSON
import Testing
import TestSupport

/// podman with CNI as its network backend. It knows the plugins `bridge` and `host-local` only, so causeway replaces
/// both. podman writes the configuration itself.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct PodmanTests {
  /// A node with podman and a network of both families. Containers run from a folder with busybox.
  private final class Podman {
    let node: TestNode
    let group: ControlGroup

    init() throws {
      node = try TestNode()
      group = try ControlGroup()
      try node.sh(
        """
        mkdir -p /run/rootfs/bin /run/rootfs/www /etc/containers /opt/podman
        echo served >/run/rootfs/www/index.html
        cp /bin/busybox /run/rootfs/bin/
        for name in sh ip wget httpd sleep; do ln -s busybox /run/rootfs/bin/$name; done
        \(Binaries.packageRoot)/hack/install --bin-dir /opt/podman --drop-in
        for plugin in loopback portmap firewall tuning; do cp /usr/lib/cni/$plugin /opt/podman/; done
        # Containers must not exceed the limits of the test.
        cat >/etc/containers/containers.conf <<END
        [network]
        network_backend = "cni"
        network_config_dir = "/etc/cni/net.d"
        cni_plugin_dirs = ["/opt/podman"]
        [engine]
        runtime = "runc"
        cgroup_manager = "cgroupfs"
        events_logger = "none"
        lock_type = "file"
        [containers]
        default_ulimits = ["nofile=1024:$(ulimit -Hn)", "nproc=1024:1024"]
        END
        cat >/etc/containers/storage.conf <<END
        [storage]
        driver = "vfs"
        runroot = "/run/containers/storage"
        graphroot = "/var/lib/containers/storage"
        END
        """)
      try self("network", "create", "--subnet", "10.9.0.0/24", "--ipv6", "--subnet", "fd00:9::/64", "pods")
        .succeeded()
    }

    func callAsFunction(_ arguments: String...) throws -> CommandResult {
      try node.run(group.enter + ["podman"] + arguments)
    }

    /// Runs `podman run` with these options.
    func run(_ options: [String], _ command: String...) throws -> CommandResult {
      try node.run(
        group.enter + ["podman", "run", "--cgroup-parent", group.path] + options + ["--rootfs", "/run/rootfs"]
          + command)
    }

    /// Runs a web server with given addresses and MAC, on the node's port 8080.
    func runServer() throws {
      let network = "pods:ip=10.9.0.77,ip=fd00:9::77,mac=02:00:00:00:00:77"
      try run(
        ["--detach", "--name", "web", "--publish", "8080:80", "--network", network],
        "httpd", "-f", "-p", "80", "-h", "/www"
      ).succeeded()
    }

    /// Whether the server answers at the node's port.
    func isPublished() throws -> Bool {
      try eventually {
        try node.run(["curl", "--silent", "--max-time", "2", "http://127.0.0.1:8080/"]).output == "served\n"
      }
    }

    /// State of containers that must be removed with them: causeway's and podman's.
    func remains() throws -> [String] {
      let rules = try node.lines("nft list ruleset | grep -E '10\\.9\\.0\\.[0-9]+[^/0-9]|fd00:9::[0-9]' || true")
      return try node.remains() + rules
        + node.lines("ls -A /var/lib/cni/results /run/netns 2>/dev/null | grep -v : || true")
    }
  }

  @Test func aContainerGetsTheRequestedAddressesMACAndPort() throws {
    let podman = try Podman()
    try podman.runServer()
    let shown = try podman("exec", "web", "ip", "address", "show", "eth0").succeeded().output
    for text in ["10.9.0.77/24", "fd00:9::77/64", "02:00:00:00:00:77"] { #expect(shown.contains(text), "\(shown)") }
    let format =
      "{{with .NetworkSettings.Networks.pods}}{{.IPAddress}} {{.GlobalIPv6Address}} {{.Gateway}} {{.MacAddress}}{{end}}"
    let inspected = try podman("inspect", "--format", format, "web").succeeded().output
    #expect(inspected == "10.9.0.77 fd00:9::77 10.9.0.1 02:00:00:00:00:77\n")
    #expect(try podman.remains().contains { $0.contains("dnat to 10.9.0.77:80") })
    #expect(try podman.remains().contains { $0.contains("10.9.0.77 comment \"pods:") })
    #expect(try podman.isPublished())
    // Another container reaches it over the bridge and the published port, and itself by hairpin.
    for address in ["10.9.0.77", "[fd00:9::77]", "10.9.0.1:8080"] {
      let answer = try podman.run(["--rm", "--network", "pods"], "wget", "-qO-", "http://\(address)/")
      #expect(answer.output == "served\n", "\(answer)")
    }
    #expect(try podman("exec", "web", "wget", "-qO-", "http://10.9.0.1:8080/").output == "served\n")
    // A second container cannot get the address.
    let second = try podman.run(["--rm", "--network", "pods", "--ip", "10.9.0.77"], "ip", "address")
    #expect(second.status != 0 && second.errors.contains("10.9.0.77"), "\(second)")

    try podman("rm", "--force", "--time", "0", "web").succeeded()
    #expect(try podman.remains() == [])
    try podman("network", "rm", "pods").succeeded()
    #expect(try podman.node.lines("ip -brief link | grep -v '^lo' || true") == [])
    #expect(try podman.node.lines("ls /etc/cni/net.d") == ["cni.lock"])
  }

  @Test func containersAreCreatedAtOnce() throws {
    let podman = try Podman()
    let names = ["a", "b", "c", "d"]
    let commands = names.map {
      "podman run --detach --cgroup-parent \(podman.group.path) --name \($0) --network pods --rootfs /run/rootfs sleep 600 &"
    }
    let script = commands.joined(separator: "\n") + "\nfor process in $(jobs -p); do wait $process || exit; done"
    try podman.node.run(podman.group.enter + ["/bin/bash", "-c", script]).succeeded()
    #expect(try podman.node.leases().count == 8)
    for name in names {
      let address = try podman("exec", name, "ip", "-4", "address", "show", "eth0").succeeded().output
      #expect(address.contains("inet 10.9.0."))
    }
    let removal = ["podman", "rm", "--force", "--time", "0"] + names
    try podman.node.run(podman.group.enter + removal).succeeded()
    #expect(try podman.remains() == [])
  }

  @Test func aContainerIsRestartedAndConnectedToASecondNetwork() throws {
    let podman = try Podman()
    let node = podman.node
    try podman.runServer()
    // The container's process dies, and podman's monitor cleans up.
    let process = try podman("inspect", "--format", "{{.State.Pid}}", "web").succeeded().output
    try node.sh("kill -KILL \(process)")
    #expect(try eventually { try podman.remains() == [] })
    try podman("start", "web").succeeded()
    #expect(try podman.isPublished())
    try podman("restart", "--time", "0", "web").succeeded()
    #expect(try podman.isPublished())

    // After a firewall reload podman sends DEL and ADD for the running container.
    try node.sh("nft flush ruleset")
    try podman("network", "reload", "web").succeeded()
    #expect(try podman.isPublished())

    try podman("network", "create", "--subnet", "10.8.0.0/24", "second").succeeded()
    try podman("network", "connect", "second", "web").succeeded()
    #expect(try podman("exec", "web", "ip", "address", "show", "eth1").output.contains("10.8.0.2/24"))
    try podman("network", "disconnect", "second", "web").succeeded()
    #expect(try podman("exec", "web", "ip", "link").output.contains("eth1") == false)
    #expect(try node.leases().count == 2)
    #expect(try podman.isPublished())
    try podman("rm", "--force", "--time", "0", "web").succeeded()
    #expect(try podman.remains() == [])
  }

  @Test func networkOptionsAreApplied() throws {
    let podman = try Podman()
    try podman(
      "network", "create", "--opt", "mtu=1400", "--subnet", "10.8.0.0/24", "--ip-range", "10.8.0.64/26", "--gateway",
      "10.8.0.254", "small"
    ).succeeded()
    try podman("network", "create", "--internal", "--subnet", "10.7.0.0/24", "inner").succeeded()
    let script = "ip address; ip route"
    let shown = try podman.run(["--rm", "--network", "small", "--network", "inner"], "sh", "-c", script)
    // host-local takes 64 as the network's address, so podman begins after it.
    for text in ["10.8.0.65/24", "mtu 1400", "default via 10.8.0.254", "10.7.0.2/24"] {
      #expect(shown.output.contains(text), "\(shown)")
    }
    // An internal network has no default route.
    #expect(!shown.output.contains("via 10.7.0"), "\(shown)")
    #expect(try podman.remains() == [])
  }
}
