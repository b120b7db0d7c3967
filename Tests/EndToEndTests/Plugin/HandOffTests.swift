import JSON
import Testing
import TestSupport

/// ADD runs `causeway-hostgw sync` if no agent runs and the nodes file has changed.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct HandOffTests {
  /// A node of a cluster of two. Its helper logs each run.
  private struct Fixture {
    let cluster: Cluster
    let node: TestNode
    let runtime: Runtime
    let configuration: JSONObject

    init() throws {
      cluster = try Cluster(2)
      node = cluster.nodes[0]
      try node.sh(
        """
        cat >/opt/cni/bin/causeway-hostgw <<END
        #!/bin/sh
        echo run >>/run/runs
        exec \(Binaries.hostgw) "\\$@"
        END
        chmod +x /opt/cni/bin/causeway-hostgw; touch /run/runs
        """)
      var runtime = Runtime(node: node)
      runtime.searchPath = "/no/such/directory:/opt/cni/bin"
      self.runtime = runtime
      configuration = runtime.configuration([
        "ipam": .null, "hostgw": ["store": "file", "nodes-file": "/etc/causeway/nodes.json"],
      ])
    }

    func runs() throws -> Int { try node.lines("cat /run/runs").count }
  }

  @Test func theFirstADDGetsLeaseAndRoutes() throws {
    let fixture = try Fixture()
    let node = fixture.node
    try fixture.runtime.call("STATUS", nil, configuration: fixture.configuration).process.succeeded()
    for pod in ["a", "b"] { try node.addPod(pod) }
    #expect(try fixture.runtime.add("a", fixture.configuration).hosts == ["10.244.1.2", "fd00:10:244:1::2"])
    #expect(
      try node.podRoutes() == [
        "10.244.2.0/24 via 192.0.2.12", "fd00:10:244:2::/64 via 2001:db8::12",
      ])
    try fixture.runtime.add("b", fixture.configuration)
    #expect(try fixture.runs() == 1)
  }

  @Test func aChangedFileIsReadOnce() throws {
    let fixture = try Fixture()
    for pod in ["a", "b", "c"] { try fixture.node.addPod(pod) }
    try fixture.runtime.add("a", fixture.configuration)
    try Cluster.write(Cluster.nodesFile(0..<3), to: fixture.node)
    for pod in ["b", "c"] { try fixture.runtime.add(pod, fixture.configuration) }
    #expect(try fixture.runs() == 2)
    #expect(try fixture.node.podRoutes().contains("10.244.3.0/24 via 192.0.2.13"))
  }

  @Test func manyADDsWaitForOneSync() throws {
    let fixture = try Fixture()
    let configuration = try JSONValue.object(fixture.configuration).text()
    let script = """
      for i in 1 2 3 4 5 6 7 8; do ip netns add p$i; done
      for i in 1 2 3 4 5 6 7 8; do
        echo '\(configuration)' | CNI_COMMAND=ADD CNI_CONTAINERID=p$i CNI_NETNS=/run/netns/p$i CNI_IFNAME=eth0 \
          CNI_PATH=/opt/cni/bin \(fixture.runtime.plugin) >/run/answer-$i & started+=($!)
      done
      status=0
      for process in "${started[@]}"; do wait $process || status=1; done
      cat /run/answer-*; exit $status
      """
    try fixture.node.run(["/bin/bash", "-c", script]).succeeded()
    #expect(try fixture.runs() == 1)
    #expect(try fixture.node.leases().count == 16)
  }

  @Test func addRunsNoSyncBesideAnAgent() throws {
    let fixture = try Fixture()
    try fixture.node.addPod("a")
    let agent = try fixture.node.start([Binaries.hostgw, "run"])
    defer { agent.stop() }
    #expect(try eventually { try fixture.node.run(["test", "-e", "/run/causeway/subnet.env"]).status == 0 })
    try Cluster.write(Cluster.nodesFile(0..<3), to: fixture.node)
    try fixture.runtime.add("a", fixture.configuration)
    #expect(try fixture.runs() == 0)
  }

  @Test func anOffLinkPeerFailsNoADD() throws {
    let fixture = try Fixture()
    try fixture.node.addPod("a")
    let far: JSONValue = ["name": "far", "publicIP": "198.51.100.1", "subnet": "10.244.9.0/24"]
    try Cluster.write(Cluster.nodesFile(0..<2, more: [far]), to: fixture.node)
    #expect(try fixture.runtime.add("a", fixture.configuration).hosts.first == "10.244.1.2")
    #expect(try fixture.node.podRoutes().count == 2)
  }

  /// Holds the lock of another ADD's sync. After 20 seconds ADD fails, before runtimes time out.
  @Test func addWaitsTwentySecondsForTheSyncOfAnother() throws {
    let fixture = try Fixture()
    try fixture.node.sh("mkdir -p /run/causeway")
    try fixture.node.addPod("a")
    let other = try fixture.node.start(["flock", "/run/causeway/hand-off.lock", "sleep", "60"])
    #expect(
      try eventually { try fixture.node.run(["flock", "-n", "/run/causeway/hand-off.lock", "true"]).status != 0 })
    let answer = try fixture.runtime.call("ADD", "a", configuration: fixture.configuration)
    #expect(answer.code == 11 && answer.message.contains("/run/causeway/hand-off.lock is held"), "\(answer)")
    #expect(try fixture.node.remains() == [])
    other.stop()
  }

  @Test func anInvalidFileFailsNoADDWhileThereIsALease() throws {
    let fixture = try Fixture()
    for pod in ["a", "b"] { try fixture.node.addPod(pod) }
    try fixture.runtime.add("a", fixture.configuration)
    try Cluster.write("not a nodes file", to: fixture.node)
    let answer = try fixture.runtime.add("b", fixture.configuration)
    #expect(answer.process.errors.contains("causeway-hostgw sync"))
    // The helper does not run again for each pod either.
    let runs = try fixture.runs()
    try fixture.node.addPod("c")
    try fixture.runtime.add("c", fixture.configuration)
    #expect(try fixture.runs() == runs)
    #expect(try fixture.node.podRoutes().count == 2)
  }

  @Test func withoutFileAndLeaseTheErrorNamesTheFile() throws {
    let fixture = try Fixture()
    try fixture.node.sh("rm /etc/causeway/nodes.json")
    try fixture.node.addPod("a")
    let add = try fixture.runtime.call("ADD", "a", configuration: fixture.configuration)
    #expect(add.code == 11 && add.message.contains("/etc/causeway/nodes.json"), "\(add)")
    #expect(add.message.contains("does not exist") || add.message.contains("No such file"), "\(add)")
    let status = try fixture.runtime.call("STATUS", nil, configuration: fixture.configuration)
    #expect(status.code == 50 && status.message.contains("/etc/causeway/nodes.json"), "\(status)")
    #expect(try fixture.node.remains() == [])
  }
}
