import JSON
import Testing
import TestSupport

/// Pods on the node's lease, with no range in the configuration.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct LeaseTests {
  private func write(_ node: TestNode, _ third: Int, mtu: Int = 1400, to path: String = "/run/causeway/subnet.env")
    throws
  {
    try node.sh(
      """
      mkdir -p "$(dirname \(path))"
      cat >\(path) <<END
      FLANNEL_NETWORK=10.244.0.0/16
      FLANNEL_SUBNET=10.244.\(third).1/24
      FLANNEL_IPV6_NETWORK=fd00:244::/48
      FLANNEL_IPV6_SUBNET=fd00:244:0:\(third)::1/64
      FLANNEL_MTU=\(mtu)
      FLANNEL_IPMASQ=true
      END
      """)
  }

  private func runtime(_ node: TestNode) -> (Runtime, JSONObject) {
    let runtime = Runtime(node: node)
    return (runtime, runtime.configuration(["ipam": [:]]))
  }

  /// A node with a lease of 10.244.1.0/24 and the namespaces of these pods.
  private func nodeOnALease(
    _ pods: String...
  ) throws -> (node: TestNode, runtime: Runtime, configuration: JSONObject) {
    let node = try TestNode()
    let (runtime, configuration) = runtime(node)
    try write(node, 1)
    for pod in pods { try node.addPod(pod) }
    return (node, runtime, configuration)
  }

  @Test(arguments: ["/run/causeway/subnet.env", "/run/flannel/subnet.env"])
  func subnetsAndMTUComeFromTheLease(_ path: String) throws {
    let node = try TestNode()
    let (runtime, configuration) = runtime(node)
    try write(node, 1, to: path)
    try node.addPod("a")
    let answer = try runtime.add("a", configuration)
    #expect(answer.addresses == ["10.244.1.2/24", "fd00:244:0:1::2/64"])
    #expect(answer.interfaces.map { $0["mtu"] } == [1400, 1400, 1400])
    #expect(try node.addresses("cni0") == ["10.244.1.1/24", "fd00:244:0:1::1/64"])
    #expect(try node.ping(from: "a", "10.244.1.1") && node.ping(from: "a", "fd00:244:0:1::1"))
  }

  @Test func aChangedLeaseFailsNoADDAndTheOldGatewayIsRemovedWithItsLastPod() throws {
    let (node, runtime, configuration) = try nodeOnALease("a", "b", "c")
    try runtime.add("a", configuration)
    try write(node, 2)
    #expect(try runtime.add("b", configuration).hosts == ["10.244.2.2", "fd00:244:0:2::2"])
    #expect(
      Set(try node.addresses("cni0")) == [
        "10.244.1.1/24", "10.244.2.1/24", "fd00:244:0:1::1/64", "fd00:244:0:2::1/64",
      ])
    // Old and new pods reach each other through the node.
    #expect(try node.ping(from: "a", "10.244.2.2") && node.ping(from: "b", "fd00:244:0:1::2"))
    try runtime.delete("a", configuration)
    #expect(Set(try node.addresses("cni0")) == ["10.244.2.1/24", "fd00:244:0:2::1/64"])
    #expect(try node.ping(from: "b", "10.244.2.1"))
  }

  @Test func anOldGatewayWithoutPodsIsRemovedByTheNextADD() throws {
    let (node, runtime, configuration) = try nodeOnALease("a", "b")
    try runtime.add("a", configuration)
    try runtime.delete("a", configuration)
    try write(node, 2)
    try runtime.add("b", configuration)
    #expect(Set(try node.addresses("cni0")) == ["10.244.2.1/24", "fd00:244:0:2::1/64"])
  }

  @Test func aForeignAddressOfTheBridgeStays() throws {
    let (node, runtime, configuration) = try nodeOnALease("a")
    try node.sh("ip link add cni0 type bridge && ip address add 198.51.100.7/24 dev cni0 && ip link set cni0 up")
    try runtime.add("a", configuration)
    try runtime.delete("a", configuration)
    #expect(try node.addresses("cni0").contains("198.51.100.7/24"))
  }

  @Test func theGatewayOfAnotherNetworksPodsStays() throws {
    let (node, runtime, configuration) = try nodeOnALease("a", "b")
    let ranges = runtime.configuration(["ipam": ["ranges": [[["subnet": "10.88.0.0/16"]]]]], name: "ranges")
    try runtime.add("a", ranges)
    try runtime.add("b", configuration)
    try runtime.delete("b", configuration)
    #expect(try node.ping(from: "a", "10.88.0.1"))
  }

  /// Gets a pod's address from another IPAM plugin, so that it is in no data directory of causeway's.
  @Test func theGatewayOfADelegatesPodsStays() throws {
    let (node, runtime, configuration) = try nodeOnALease("a", "b")
    try node.sh("cp /usr/lib/cni/static /opt/cni/bin/")
    var delegating = runtime
    delegating.searchPath = "/opt/cni/bin"
    delegating.version = "1.0.0"
    // In the cluster's network, like the gateway of a former lease.
    let addresses: JSONValue = [["address": "10.244.9.7/24", "gateway": "10.244.9.1"]]
    let fixed = delegating.configuration(["ipam": ["type": "static", "addresses": addresses]], name: "static")
    try delegating.add("a", fixed)
    try runtime.add("b", configuration)
    try runtime.delete("b", configuration)
    #expect(try node.ping(from: "a", "10.244.9.1"))
    try delegating.delete("a", fixed)
    try node.addPod("c")
    try runtime.add("c", configuration)
    #expect(try !node.addresses("cni0").contains("10.244.9.1/24"))
  }

  @Test func twoNetworksOnOneLeaseKeepTheirGateways() throws {
    let (node, runtime, configuration) = try nodeOnALease("a", "b")
    var other = configuration
    other["name"] = "other"
    try runtime.add("a", other)
    try write(node, 2)
    try runtime.add("b", configuration)
    try runtime.delete("b", configuration)
    #expect(try node.ping(from: "a", "10.244.1.1") && node.ping(from: "a", "fd00:244:0:1::1"))
  }

  @Test func addressesOfOtherNetworksAreNotReused() throws {
    let (_, runtime, configuration) = try nodeOnALease("a", "b")
    var other = configuration
    other["name"] = "other"
    #expect(try runtime.add("a", configuration).hosts.first == "10.244.1.2")
    #expect(try runtime.add("b", other).hosts == ["10.244.1.3", "fd00:244:0:1::3"])
  }

  @Test func leasesFromBeforeARebootAreFree() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let configuration = runtime.configuration(["ipam": ["ranges": [[["subnet": "10.9.0.0/29"]]]]])
    for pod in try runtime.addPods(5) { try runtime.add(pod, configuration) }
    // Like a reboot: /run is new, namespaces are gone, other files are older than the boot.
    try node.sh(
      """
      for pod in 1 2 3 4 5; do ip netns delete p$pod; done
      rm -r /run/causeway && echo an-earlier-boot >/var/lib/cni/networks/podnet/lock
      touch -d '2001-01-01' /var/lib/cni/networks/podnet/*
      ip link delete cni0
      """)
    for index in 6...10 {
      try node.addPod("p\(index)")
      try runtime.add("p\(index)", configuration)
    }
    #expect(try node.leases().count == 5)
  }

  @Test func anInvalidLeaseFileIsReported() throws {
    let node = try TestNode()
    let (runtime, configuration) = runtime(node)
    try node.sh(
      "mkdir -p /run/causeway && printf 'FLANNEL_NETWORK=10.244.0.0/16\\nFLANNEL_SUBNET=x\\n' >/run/causeway/subnet.env"
    )
    try node.addPod("a")
    let answer = try runtime.call("ADD", "a", configuration: configuration)
    #expect(answer.code == 11 && answer.message.contains("/run/causeway/subnet.env: FLANNEL_SUBNET=x"), "\(answer)")
  }
}
