import Glibc
import Linux
import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot) struct NamespaceTests {
  private let node: TestNode

  init() throws {
    node = try TestNode()
    try node.addPod("a")
  }

  @Test func identityDiffersBetweenNamespaces() throws {
    let path = node.path("/run/netns/a")
    let first = try NetworkNamespace(path)
    try node.sh("touch /run/same && mount --bind /run/netns/a /run/same")
    #expect(try NetworkNamespace(node.path("/run/same")).identity == first.identity)
    #expect(try node.namespace().identity != first.identity)
    #expect(try NetworkNamespace.current().identity != first.identity)
  }

  /// Mount and user namespaces are namespaces, but cannot contain a pod's interface.
  @Test func refusesOtherFilesAndNamespaces() throws {
    try node.sh("touch /run/netns/file; mkdir /run/netns/directory; mkfifo /run/netns/fifo")
    let paths =
      ["file", "directory", "fifo"].map { node.path("/run/netns/\($0)") } + ["/proc/self/ns/mnt", "/dev/null"]
    for path in paths {
      #expect(throws: SystemError("open the network namespace", path, errno: EINVAL)) {
        _ = try NetworkNamespace(path)
      }
    }
    let none = node.path("/run/netns/none")
    #expect(throws: SystemError("open the network namespace", none, errno: ENOENT)) { _ = try NetworkNamespace(none) }
  }

  @Test func theCallerReturnsToItsNamespace() throws {
    let pod = try NetworkNamespace(node.path("/run/netns/a"))
    let before = try NetworkNamespace.current().identity
    let inside = try pod.run { () throws(SystemError) in try NetworkNamespace.current().identity }
    #expect(inside == pod.identity)
    #expect(try NetworkNamespace.current().identity == before)
    #expect(throws: SystemError("try", "it", errno: EPERM)) {
      try pod.run { () throws(SystemError) in throw SystemError("try", "it", errno: EPERM) }
    }
    #expect(try NetworkNamespace.current().identity == before)
  }

  @Test func sysctlsBelongToTheNamespace() throws {
    let pod = try NetworkNamespace(node.path("/run/netns/a"))
    let before = try Sysctl.read("net/ipv4/ip_forward")
    try pod.run { () throws(SystemError) in try Sysctl.ensure("net/ipv4/ip_forward", "1") }
    #expect(try node.run(inPod: "a", ["cat", "/proc/sys/net/ipv4/ip_forward"]).output == "1\n")
    #expect(try Sysctl.read("net/ipv4/ip_forward") == before)
  }

  @Test func aSocketBelongsToTheNamespaceItWasOpenedIn() throws {
    try node.sh("ip -netns a link add inside type bridge")
    var socket = try node.routeSocket(inPod: "a")
    var host = try node.routeSocket()
    #expect(try socket.link(named: "inside") != nil)
    #expect(try host.link(named: "inside") == nil)
    // Also after its name was removed.
    try node.removePod("a")
    #expect(try socket.link(named: "inside") != nil)
  }

  @Test func concurrentThreadsDoNotMixNamespaces() async throws {
    for number in 0..<8 { try node.addPod("p\(number)") }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for round in 0..<200 {
        group.addTask {
          let namespace = try NetworkNamespace(node.path("/run/netns/p\(round % 8)"))
          let inside = try namespace.run { () throws(SystemError) in try NetworkNamespace.current().identity }
          #expect(inside == namespace.identity)
        }
      }
      try await group.waitForAll()
    }
  }
}
