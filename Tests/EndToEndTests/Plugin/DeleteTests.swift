import JSON
import Testing
import TestSupport

/// DEL frees the address in every case, because a runtime keeps a pod forever whose DEL fails.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct DeleteTests {
  private func nodeWithPod() throws -> (TestNode, Runtime) {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try runtime.add("a")
    return (node, runtime)
  }

  /// Checks that a forked copy of the plugin waits out the kernel's grace period, and that no process remains.
  @Test func theAnswerWaitsForTheLinkAndNotForTheGracePeriod() throws {
    var (node, runtime) = try nodeWithPod()
    try node.sh(
      """
      cat >/run/traced <<'E'
      #!/bin/sh
      exec strace -ff -qq -e trace=exit_group,wait4,waitid -e signal=none -o /run/trace \(runtime.plugin)
      E
      chmod +x /run/traced
      """)
    runtime.plugin = "/run/traced"
    try runtime.delete("a")
    #expect(try node.remains() == [])
    // The parent would wait for its child if it had not been notified that the link is gone.
    let calls = try node.sh("cat /run/trace.*").split(separator: "\n")
    #expect(calls.count == 2 && calls.allSatisfy { $0.contains("exit_group(0)") }, "\(calls)")
  }

  @Test func aSecondDeleteSucceeds() throws {
    let (node, runtime) = try nodeWithPod()
    for _ in 1...2 { try runtime.delete("a") }
    #expect(try node.remains() == [])
  }

  @Test func anUnknownContainerIsDeleted() throws {
    let node = try TestNode()
    try Runtime(node: node).call("DEL", nil, id: "never", configuration: Runtime(node: node).configuration()).process
      .succeeded()
    #expect(try node.remains() == [])
  }

  @Test func deletesWithoutANamespace() throws {
    let (node, runtime) = try nodeWithPod()
    try runtime.call("DEL", nil, id: "a", configuration: runtime.configuration()).process.succeeded()
    #expect(try node.remains() == [])
    #expect(try node.ip(json: "link", "show", "type", "veth", inPod: "a").isEmpty)
  }

  /// Renames the host's end, as udev may.
  @Test(arguments: [true, false])
  func deletesARenamedVethPair(_ withRecord: Bool) throws {
    let (node, runtime) = try nodeWithPod()
    let port = try #require(try node.hostVeths().first)
    try node.sh("ip link set \(port) down && ip link set \(port) name other0 && ip link set other0 up")
    if !withRecord { try node.sh("rm -r /run/causeway") }
    try runtime.delete("a")
    #expect(try node.remains() == [])
    #expect(try node.run(["ip", "link", "show", "other0"]).status != 0)
  }

  @Test func deletesWithARemovedNamespace() throws {
    let (node, runtime) = try nodeWithPod()
    try node.removePod("a")
    try runtime.delete("a")
    #expect(try node.remains() == [])
  }

  @Test func deletesWithAPathThatIsNoNamespace() throws {
    let (node, runtime) = try nodeWithPod()
    try runtime.call(
      "DEL", nil, id: "a", configuration: runtime.configuration(), environment: ["CNI_NETNS": "/etc/hostname"]
    )
    .process.succeeded()
    #expect(try node.remains() == [])
  }

  @Test(
    arguments: [
      ["type": "host-local", "ranges": "nonsense"],
      ["ranges": [[["subnet": "10.9.0.0/31"]]]],
      ["type": "unknown"],
      ["ranges": [[["subnet": "999.9.0.0/24"]]], "routes": 3],
    ] as [JSONValue])
  func deletesWithAnInvalidIPAMSection(_ ipam: JSONValue) throws {
    let (node, runtime) = try nodeWithPod()
    try runtime.delete("a", runtime.configuration(["ipam": ipam]))
    #expect(try node.remains() == [])
  }

  @Test func deletesWithoutARecord() throws {
    let (node, runtime) = try nodeWithPod()
    try node.sh("rm -r /run/causeway")
    try runtime.call("DEL", nil, id: "a", configuration: runtime.configuration()).process.succeeded()
    #expect(try node.remains() == [])
  }

  @Test func deletesWithInvalidCNIArguments() throws {
    let (node, runtime) = try nodeWithPod()
    try runtime.call("DEL", "a", arguments: "nonsense", configuration: runtime.configuration()).process.succeeded()
    #expect(try node.remains() == [])
  }

  /// Checks that DEL uses the data directory that ADD recorded, even if the configuration has changed.
  @Test func deletesAfterTheDataDirectoryWasChanged() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try runtime.add(
      "a", runtime.configuration(["ipam": ["ranges": runtime.ranges(.v4), "dataDir": "/var/lib/cni/elsewhere"]]))
    try runtime.delete("a")
    #expect(try node.lines("find /var/lib/cni/elsewhere -name '10.*'") == [])
  }

  @Test func leavesOtherPodsAlone() throws {
    let (node, runtime) = try nodeWithPod()
    try node.addPod("b")
    try runtime.add("b")
    try runtime.delete("a")
    #expect(try node.ping(from: "b", "10.9.0.1"))
    #expect(try node.leases().count == 2)
    #expect(try node.records().count == 1)
  }

  /// Deletes a refused ADD whose interface name was in use. The existing interface stays.
  @Test func leavesTheInterfaceOfAnotherNetwork() throws {
    let (node, runtime) = try nodeWithPod()
    let other = runtime.configuration(
      ["ipam": ["ranges": [[["subnet": "10.8.0.0/24"]]]], "bridge": "cni1"], name: "other")
    #expect(try runtime.call("ADD", "a", configuration: other).process.status == 1)
    try runtime.delete("a", other)
    #expect(try node.ping(from: "a", "10.9.0.1"))
    #expect(try node.leases().count == 2)
  }

  @Test func findsAVethPairWhosePreferredNameWasInUse() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("probe")
    try node.addPod("a")
    let taken = try #require(try runtime.add("a").interfaces[1]["name"]?.string)
    try runtime.delete("a")
    try node.sh("ip link add \(taken) type veth peer name other")
    let name = try #require(try runtime.add("a").interfaces[1]["name"]?.string)
    #expect(name != taken)
    try node.sh("ip link delete \(taken)")
    try runtime.call("DEL", nil, id: "a", configuration: runtime.configuration()).process.succeeded()
    #expect(try node.remains() == [])
  }

  @Test func leavesAForeignLinkWithItsPreferredName() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let taken = try #require(try runtime.add("a").interfaces[1]["name"]?.string)
    try runtime.delete("a")
    try node.sh("ip link add \(taken) type veth peer name other")
    try runtime.add("a")
    try runtime.delete("a")
    #expect(try node.hostVeths() == [taken])
  }

  @Test func removesAVethPairOfTheReferencePlugin() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try node.sh(
      """
      ip link add cni0 type bridge && ip link set cni0 up
      ip link add veth12345678 master cni0 type veth peer name eth0 netns a
      mkdir -p /var/lib/cni/networks/podnet
      printf 'a\\r\\neth0' >/var/lib/cni/networks/podnet/10.9.0.2
      """)
    try runtime.delete("a")
    #expect(try node.remains() == [])
  }
}
