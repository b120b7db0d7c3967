import JSON
import Linux
import Netlink
import Testing
import TestSupport

/// The fixtures of the other kernel tests.
@Suite(.requiresRoot) struct FixtureTests {
  @Test func nodesOfASegmentReachEachOther() throws {
    let segment = try TestSegment()
    let nodes = try [TestNode(), TestNode()]
    for (index, node) in nodes.enumerated() {
      try segment.connect(node, addresses: ["192.0.2.1\(index)/24", "2001:db8::1\(index)/64"])
    }
    #expect(try nodes[0].run(["ping", "-c1", "-W5", "192.0.2.11"]).status == 0)
    #expect(try nodes[0].run(["ping", "-c1", "-W5", "2001:db8::11"]).status == 0)
  }

  @Test func aNodeHasItsOwnDirectoriesAndPods() throws {
    let node = try TestNode()
    #expect(try node.addPod("a") == "/run/netns/a")
    #expect(try node.ip(json: "netns", "list").map { $0["name"] } == ["a"])
    #expect(try node.ip(json: "link", inPod: "a").map { $0["ifname"] } == ["lo"])
    try Files.replace(node.path("/run/here"), with: Array("x".utf8))
    #expect(try node.sh("cat /run/here; ls /etc/cni /var/lib/cni") == "x/etc/cni:\n\n/var/lib/cni:\n")
    try node.removePod("a")
    #expect(try node.ip(json: "netns", "list").isEmpty)
  }

  @Test func sysShowsTheNodesLinks() throws {
    let node = try TestNode()
    try node.sh("ip link add here type bridge")
    #expect(try node.sh("ls /sys/class/net") == "here\nlo\n")
    // The same file system; other tests change its content.
    let command = ["stat", "-c", "%d:%i", "/sys/fs/cgroup"]
    #expect(try node.run(command).output == run(command).output)
  }

  @Test func aControlGroupKillsItsProcesses() throws {
    var group: ControlGroup? = try ControlGroup()
    let path = try #require(group?.path)
    func places() throws -> String {
      try run(["/bin/sh", "-c", "ls -d /sys/fs/cgroup\(path) /sys/fs/cgroup/*\(path) 2>/dev/null || true"]).output
    }
    #expect(try !places().isEmpty)
    // Processes that a daemon leaves behind count too.
    let daemon = try RunningProgram(
      try #require(group?.enter) + ["/bin/sh", "-c", "setsid sleep 300 & echo $!; exec sleep 300"])
    #expect(eventually { !daemon.output.isEmpty })
    let left = daemon.output.dropLast()
    group = nil
    #expect(try daemon.exitStatus() == 128 + 9)
    #expect(try eventually { try run(["/bin/sh", "-c", "kill -0 \(left)"]).status != 0 })
    #expect(try places().isEmpty)
  }

  @Test func aClosedNodeIsRemoved() throws {
    let node = try TestNode()
    let namespace = try node.namespace().identity
    node.close()
    #expect(throws: SystemError.self) { _ = try node.namespace() }
    #expect(try NetworkNamespace.current().identity != namespace)
  }

  @Test func aProgramRunsBesideTheTest() throws {
    let node = try TestNode()
    let program = try node.start(["/bin/sh", "-c", "echo here; exec sleep 60"])
    #expect(eventually { program.output == "here\n" })
    #expect(program.isRunning)
    program.signal(15)
    #expect(try program.exitStatus() == 128 + 15)
  }
}
