import JSON
import Testing
import TestSupport

/// Pods by containerd's own client, with the files of `conf` and the programs that `hack/install` installs.
@Suite(.requiresRoot, .timeLimit(.minutes(3)))
struct ContainerdTests {
  /// Runs `ctr run --cni` from a folder with busybox. A detached container must be removed by `remove`.
  private func run(
    _ containerd: Containerd, _ name: String, detach: Bool = false, _ command: String...
  ) throws -> CommandResult {
    try containerd.ctr(
      [
        "run", "--cni", detach ? "--detach" : "--rm", "--cgroup", "\(containerd.group.path)/\(name)",
        "--rootfs", "/run/rootfs", name,
      ] + command)
  }

  private func remove(_ containerd: Containerd, _ name: String) throws {
    try containerd.ctr("task", "kill", "--signal", "KILL", name).succeeded()
    #expect(try eventually { try containerd.ctr("container", "delete", name).status == 0 })
  }

  @Test func ctrRunCreatesAConnectedPod() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let containerd = try Containerd(node)
    try node.sh(
      """
      mkdir -p /run/rootfs/bin
      cp /bin/busybox /run/rootfs/bin/ && for name in sh ip ping sleep; do ln -s busybox /run/rootfs/bin/$name; done
      cp \(Binaries.packageRoot)/conf/10-causeway.conflist /etc/cni/net.d/
      """)
    // A pod on the other node, without containerd.
    let other = cluster.nodes[1]
    try other.addPod("a")
    let runtime = Runtime(node: other)
    let hostgw: JSONObject = ["ipam": .null, "hostgw": ["nodes-file": "/etc/causeway/nodes.json"]]
    let hosts = try runtime.add("a", runtime.configuration(hostgw)).hosts
    #expect(hosts == ["10.244.2.2", "fd00:10:244:2::2"])

    let shown = try run(containerd, "shown", "/bin/ip", "address", "show", "eth0").succeeded().output
    #expect(shown.contains("10.244.1.2/24") && shown.contains("fd00:10:244:1::2/64"), "\(shown)")
    for host in hosts {
      try run(containerd, "pinging", "/bin/ping", "-c", "1", "-W", "8", host).succeeded()
    }
    #expect(try node.remains() == [])

    try run(containerd, "lasting", detach: true, "/bin/sleep", "60").succeeded()
    #expect(try node.leases().count == 2)
    let addresses = try node.leases().compactMap { $0.split(separator: "/").last.map { String($0) } }
    for address in addresses where !address.contains(":") {
      #expect(try other.ping(from: "a", address))
    }
    try remove(containerd, "lasting")
  }
}
