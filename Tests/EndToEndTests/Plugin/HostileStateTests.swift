import JSON
import Testing
import TestSupport

/// State files replaced by symbolic links, FIFOs, directories and huge files. Nothing hangs, and nothing outside is
/// read, written or removed as our own.
///
/// The directories themselves are trusted (Files), because only root writes there.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct HostileStateTests {
  private let node: TestNode
  private let runtime: Runtime
  private var configuration: JSONObject { runtime.configuration() }

  init() throws {
    node = try TestNode()
    runtime = Runtime(node: node)
    for pod in ["a", "b"] { try node.addPod(pod) }
    try node.sh("mkdir -p /mnt/outside && echo precious >/mnt/outside/precious")
  }

  private func expectThePreciousFile() throws {
    #expect(try node.sh("cat /mnt/outside/precious") == "precious\n")
  }

  static let objects = [
    "mkfifo $1", "mkdir $1", "ln -s /mnt/outside/precious $1", "ln -s /dev/zero $1", "ln -s $1 $1", "ln -s /nowhere $1",
    "truncate -s 1T $1", "head -c 2000000 /dev/urandom >$1", "printf '\\0\\377\\n' >$1", ": >$1",
  ]

  /// Replaces a file by an object.
  private func put(_ object: String, _ path: String) throws {
    try node.sh("set -- \(path); mkdir -p $(dirname $1); rm -rf $1; \(object)")
  }

  // MARK: State of the plugin

  /// Makes the network's directory a symbolic link, as administrators do. Files there that are no leases stay.
  @Test func aLinkedNetworkDirectoryWorks() throws {
    try node.sh("mkdir -p /var/lib/cni/networks && ln -s /mnt/outside /var/lib/cni/networks/podnet")
    try node.sh("echo precious >/mnt/outside/10.9.0.200; printf 'b\\r\\neth0' >/mnt/outside/10.9.0.201")
    let answer = try runtime.add("a")
    try runtime.check("a", answer, configuration: configuration).process.succeeded()
    try runtime.delete("a")
    try expectThePreciousFile()
    #expect(
      try node.lines("cd /mnt/outside && ls | grep -v -e last_res -e lock") == ["10.9.0.200", "10.9.0.201", "precious"])
  }

  @Test(arguments: objects) func anObjectInsteadOfALeaseIsSkipped(_ object: String) throws {
    try put(object, "/var/lib/cni/networks/podnet/10.9.0.2")
    let answer = try runtime.add("a")
    // An empty file is what host-local leaves when it is killed, so it is no lease.
    #expect(answer.hosts.first == (object == ": >$1" ? "10.9.0.2" : "10.9.0.3"), "\(answer)")
    try runtime.delete("a")
    try runtime.collect(keeping: [], configuration)
    try expectThePreciousFile()
    #expect(try node.hostVeths() == [] && node.records() == [])
  }

  @Test(arguments: objects, ["DEL", "GC"]) func anObjectInsteadOfARecordIsRemoved(_ object: String, _ verb: String)
    throws
  {
    try runtime.add("a")
    let record = try #require(try node.records().first)
    try put(object, record)
    if verb == "DEL" { try runtime.delete("a") } else { try runtime.collect(keeping: [], configuration) }
    #expect(try node.remains() == [])
    try expectThePreciousFile()
    // Later attachments work.
    try runtime.add("b")
    try runtime.delete("b")
  }

  /// Replaces each other file of the plugin. ADD succeeds, or fails with the file's name and leaves nothing.
  @Test(
    arguments: objects,
    [
      "/var/lib/cni/networks/podnet/lock", "/var/lib/cni/networks/podnet/last_reserved_ip.0",
      "/run/causeway/bridge.lock",
    ])
  func anObjectInsteadOfALockIsReportedOrIgnored(_ object: String, _ path: String) throws {
    try put(object, path)
    let answer = try runtime.call("ADD", "a", configuration: configuration)
    if answer.process.status == 0 {
      try runtime.delete("a")
    } else {
      #expect(answer.message.contains(path), "\(answer)")
      #expect(
        try node.hostVeths() == []
          && node.lines("cd /var/lib/cni/networks/podnet 2>/dev/null && ls | grep ^10 || true") == [])
    }
    try expectThePreciousFile()
  }

  @Test(arguments: objects) func anObjectInsteadOfTheLeaseFileIsReported(_ object: String) throws {
    try put(object, "/run/causeway/subnet.env")
    let configuration: JSONObject = ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway"]
    let answer = try runtime.call("ADD", "a", configuration: configuration)
    #expect(answer.code == 11 && answer.message.contains("subnet.env"), "\(answer)")
    let status = try runtime.call("STATUS", nil, configuration: configuration)
    #expect(status.process.status == 1 && status.message.contains("subnet.env"), "\(status)")
    try runtime.delete("a", configuration)
    #expect(try node.remains() == [])
    try expectThePreciousFile()
  }

  /// Names a path in a lease, which GC takes as a container's ID. flannel's plugin keeps a file named by each ID.
  @Test func aLeaseThatNamesAPathRemovesNoFileThere() throws {
    try node.sh(
      """
      mkdir -p /var/lib/cni/networks/podnet /var/lib/cni/flannel /run/flannel; ln -s \(Binaries.causeway) /opt/cni/bin/flannel
      printf '../../../../mnt/outside/precious\\r\\neth0' >/var/lib/cni/networks/podnet/10.9.0.2
      """)
    var flannel = runtime
    flannel.plugin = "/opt/cni/bin/flannel"
    try flannel.collect(keeping: [], ["cniVersion": "1.1.0", "name": "podnet", "type": "flannel"])
    try expectThePreciousFile()
    #expect(try node.leases() == [])
  }

  // MARK: State of the helper

  @Test(arguments: objects) func anObjectInsteadOfTheNodesFileIsReported(_ object: String) throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.hostgw("sync").succeeded()
    let routes = try node.podRoutes()
    try node.sh("mkdir -p /mnt/outside && echo precious >/mnt/outside/precious")
    try node.sh("set -- /etc/causeway/nodes.json; rm -rf $1; \(object)")
    let sync = try node.hostgw("sync")
    #expect(sync.status != 0 && (sync.output + sync.errors).contains("nodes.json"), "\(sync)")
    #expect(try node.podRoutes() == routes)
    #expect(try node.sh("cat /mnt/outside/precious") == "precious\n")
  }

  /// Replaces files that the helper writes by rename, and their temporary files.
  @Test(arguments: objects, ["subnet.env", "subnet.env.new", "nodes-file.mark", "nodes-file.mark.new"])
  func anObjectInsteadOfAFileOfTheHelperIsReplacedOrReported(_ object: String, _ name: String) throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("mkdir -p /mnt/outside && echo precious >/mnt/outside/precious")
    try node.sh("set -- /run/causeway/\(name); mkdir -p /run/causeway; \(object)")
    let sync = try node.hostgw("sync")
    if object == "mkdir $1" {
      #expect(sync.status != 0 && (sync.output + sync.errors).contains(name), "\(sync)")
    } else if sync.status != 0 {
      // The object was reported and is removed.
      #expect((sync.output + sync.errors).contains(name), "\(sync)")
      try node.hostgw("sync").succeeded()
    }
    #expect(try node.podRoutes().count == 2)
    #expect(try node.sh("cat /mnt/outside/precious") == "precious\n")
  }

  /// Checks that an agent whose nodes file is replaced reports it and keeps its routes.
  @Test func anObjectInsteadOfAnAgentsNodesFileIsReported() throws {
    let fixture = try AgentFixture()
    // An error with the text of the last one is not reported again.
    for object in ["ln -s /dev/zero $1", "mkfifo $1", "truncate -s 1T $1"] {
      let before = fixture.agent.output.count
      try fixture.node.sh("set -- /etc/causeway/nodes.json; rm -f $1; \(object)")
      #expect(eventually { fixture.agent.output.dropFirst(before).contains("nodes.json") }, "\(object)")
      #expect(try fixture.node.podRoutes() == AgentFixture.routes)
    }
    #expect(fixture.agent.isRunning)
    try fixture.node.sh("rm -f /etc/causeway/nodes.json")
    try Cluster.write(Cluster.nodesFile([0, 2]), to: fixture.node)
    try fixture.expectRoutes([AgentFixture.routes[1], AgentFixture.routes[3]])
  }

  /// Makes more changes than the agent's socket holds while the agent is stopped. The agent then reads the whole state.
  @Test func changesWithoutNotificationsAreRepaired() throws {
    let fixture = try AgentFixture()
    let id = fixture.agent.processID
    try fixture.node.sh(
      """
      kill -STOP \(id)
      for n in $(seq 0 255); do for m in $(seq 0 149); do echo "route add 11.$n.$m.0/24 dev lo"; done; done | ip -batch -
      ip route del 10.244.2.0/24; ip -6 route flush proto 202 || true
      ip route flush root 11.0.0.0/8
      kill -CONT \(id)
      """, limit: .seconds(60))
    try fixture.expectRoutes(AgentFixture.routes)
  }
}
