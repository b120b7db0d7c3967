import JSON
import Testing
import TestSupport

/// GC removes the attachments of its own network that are not in the runtime's list of valid attachments.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct CollectTests {
  private static let keys = ["cni.dev/valid-attachments", "cni.dev/attachments"]

  /// The plugin under its own name or a reference plugin's, with a configuration that both understand.
  private func runtime(_ plugin: String) throws -> Runtime {
    plugin == "causeway" ? Runtime(node: try TestNode()) : try Runtime.reference(plugin, "1.1.0")
  }

  private func configuration(
    _ runtime: Runtime, _ name: String = "podnet", bridge: String = "cni0", _ subnets: [Subnet] = [.v4, .v6]
  ) -> JSONObject {
    runtime.bridgeConfiguration(
      subnets, ["name": .string(name), "bridge": .string(bridge), "ipMasq": true, "macspoofchk": true])
  }

  private func rules(_ node: TestNode) throws -> [String] {
    try node.lines("nft list ruleset | grep -o 'comment \"[^\"]*:eth[0-9]\"' | sort -u | cut -d'\"' -f 2")
  }

  @Test(arguments: keys, ["causeway", "bridge"])
  func freesExactlyTheAttachmentsThatAreNotInTheList(_ key: String, _ plugin: String) throws {
    let runtime = try runtime(plugin)
    let node = runtime.node
    for pod in ["a", "b", "c", "d"] { try node.addPod(pod) }
    var podnet = configuration(runtime)
    for pod in ["a", "b"] { try runtime.add(pod, podnet) }
    try runtime.add("b", interface: "eth1", podnet)
    // Networks whose names share a prefix.
    let longer = configuration(runtime, "podnet2", bridge: "cni2", [Subnet("10.2.0.0/24")])
    try runtime.add("c", longer)
    let shorter = configuration(runtime, "pod", bridge: "cni3", [Subnet("10.3.0.0/24")])
    try runtime.add("d", shorter)

    podnet[key] = [["containerID": "b", "ifname": "eth0"], ["containerID": "unknown", "ifname": "eth0"]]
    for _ in 1...2 {
      #expect(try runtime.call("GC", nil, configuration: podnet).process.succeeded().output == "")
      #expect(
        Set(try node.leases()) == [
          "/var/lib/cni/networks/podnet/10.1.2.3", "/var/lib/cni/networks/podnet/2001:db8:1::3",
          "/var/lib/cni/networks/podnet2/10.2.0.2", "/var/lib/cni/networks/pod/10.3.0.2",
        ])
      #expect(
        Set(try node.records()) == [
          "/run/causeway/attachments/podnet:b:eth0", "/run/causeway/attachments/podnet2:c:eth0",
          "/run/causeway/attachments/pod:d:eth0",
        ])
      #expect(try node.hostVeths().count == 3)
      #expect(try rules(node) == ["pod:d:eth0", "podnet2:c:eth0", "podnet:b:eth0"])
    }
    #expect(try node.ping(from: "b", "10.1.2.1") && node.ping(from: "b", "2001:db8:1::1"))
    #expect(try node.ping(from: "c", "10.2.0.1") && node.ping(from: "d", "10.3.0.1"))
    #expect(try node.view(inPod: "b")["eth1"] == nil)
  }

  /// Checks that `null` and an empty list mean that none is valid, and that nothing is removed without the key.
  @Test(arguments: [([], true), (.null, true), (nil, false)] as [(JSONValue?, Bool)], keys)
  func distinguishesAnEmptyListFromNoList(_ list: (JSONValue?, Bool), _ key: String) throws {
    let runtime = try runtime("bridge")
    let node = runtime.node
    for pod in ["a", "b"] { try node.addPod(pod) }
    var podnet = configuration(runtime)
    for pod in ["a", "b"] { try runtime.add(pod, podnet) }
    let before = try node.remains()
    podnet[key] = list.0
    try runtime.call("GC", nil, configuration: podnet).process.succeeded()
    #expect(try node.remains() == (list.1 ? [] : before))
    #expect(try rules(node).count == (list.1 ? 0 : 2))
  }

  @Test func anInvalidListFreesNothing() throws {
    let runtime = try runtime("bridge")
    try runtime.node.addPod("a")
    var podnet = configuration(runtime)
    try runtime.add("a", podnet)
    podnet["cni.dev/valid-attachments"] = [["containerID": "b", "ifname": "eth0"], ["containerID": "a"]]
    let refused = try runtime.call("GC", nil, configuration: podnet)
    #expect(refused.code == 7 && refused.message.contains("valid-attachments[1].ifname is missing"), "\(refused)")
    #expect(try runtime.node.ping(from: "a", "10.1.2.1"))
    #expect(try runtime.node.leases().count == 2)
  }

  @Test func freesLeasesInOtherDataDirectoriesByTheRecords() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try runtime.add(
      "a", runtime.configuration(["ipam": ["ranges": runtime.ranges(.v4), "dataDir": "/var/lib/cni/elsewhere"]]))
    try runtime.collect(keeping: [], runtime.configuration())
    #expect(try node.lines("find /var/lib/cni/elsewhere -name '10.*'") == [])
    #expect(try node.remains() == [])
  }

  /// Removes one part of an attachment. GC removes the rest.
  @Test(arguments: [
    // A killed ADD may leave a veth pair without its mark, or none. A reboot removes the records, a DEL the lease.
    "ip link set $port alias ''", "ip link delete $port", "rm -r /run/causeway", "rm -r /var/lib/cni/networks/podnet",
    "nft delete table inet causeway_pods", "ip link set $port down && ip link set $port name other0",
  ])
  func removesTheRemainsOfAnAttachment(_ loss: String) throws {
    let runtime = try runtime("bridge")
    let node = runtime.node
    for pod in ["a", "b"] { try node.addPod(pod) }
    let podnet = configuration(runtime)
    let port = try #require(try runtime.add("a", podnet).interfaces[1]["name"]?.string)
    try runtime.add("b", podnet)
    // Veth pairs of others with similar names and marks.
    try node.sh(
      """
      ip link add veth11111111 type veth peer name foreign
      ip link add veth22222222 type veth peer name foreign2 && ip link set veth22222222 alias causeway:podnet2:x:eth0
      port=\(port); \(loss)
      """)
    let left = try node.hostVeths().filter { $0.hasPrefix("veth11") || $0.hasPrefix("veth22") }
    try runtime.collect(keeping: ["b"], podnet)
    let hostVeths = Set(try node.hostVeths())
    #expect(hostVeths.isSuperset(of: left) && hostVeths.count == 3, "\(hostVeths)")
    #expect(try node.view(inPod: "a").links.count == 1 && node.view()["other0"] == nil)
    #expect(try node.leases().allSatisfy { $0.hasSuffix("3") })
    #expect(try rules(node).allSatisfy { $0 == "podnet:b:eth0" })
    #expect(try node.records().allSatisfy { $0.hasSuffix("podnet:b:eth0") })
  }
}
