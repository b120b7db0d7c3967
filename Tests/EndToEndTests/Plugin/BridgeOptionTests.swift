import JSON
import Testing
import TestSupport

/// The reference's tests of the options of `bridge`, for every version.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct BridgeOptionTests {
  private func runtime(_ version: String, pods: String...) throws -> Runtime {
    let runtime = try Runtime.reference("bridge", version)
    for pod in pods { try runtime.node.addPod(pod) }
    return runtime
  }

  // MARK: The bridge's addresses

  /// Two networks on one bridge. Their addresses conflict always in IPv4, and in IPv6 if the subnets overlap.
  struct Conflict: Sendable {
    let first: Subnet
    let second: Subnet
    let disagrees: Bool
  }

  static let conflicts = [
    Conflict(first: Subnet("10.0.0.0/8"), second: Subnet("10.1.0.0/16"), disagrees: true),
    Conflict(first: Subnet("2001:db8::/32"), second: Subnet("2001:db8:1::/64"), disagrees: true),
    Conflict(first: Subnet("2001:db8:1::/64"), second: Subnet("fd00:1234::/64"), disagrees: false),
  ]

  @Test(arguments: Runtime.versions) func anotherAddressOnTheBridgeIsAnErrorUnlessForced(_ version: String) throws {
    let runtime = try runtime(version)
    let node = runtime.node
    for (index, conflict) in Self.conflicts.enumerated() {
      let bridge = "bridge\(index)"
      let (first, second) = ("a\(index)", "b\(index)")
      for pod in [first, second] { try node.addPod(pod) }
      let keys: JSONObject = ["bridge": .string(bridge), "name": .string("net\(index)")]
      try runtime.add(first, runtime.bridgeConfiguration([conflict.first], keys))
      var configuration = runtime.bridgeConfiguration([conflict.second], keys)
      let both = [conflict.first, conflict.second].map(\.gatewayAddress)
      if conflict.disagrees {
        let refused = try runtime.call("ADD", second, configuration: configuration)
        let words = "\"\(bridge)\" already has an IP address different from \(conflict.second.gatewayAddress)"
        #expect(refused.code == 7 && refused.message.hasPrefix(words), "\(refused)")
        #expect(try node.addresses(bridge) == [conflict.first.gatewayAddress])
        #expect(try node.addresses("eth0", inPod: first) == [conflict.first.firstPod])
      } else {
        try runtime.add(second, configuration)
        #expect(try node.addresses(bridge).sorted() == both.sorted())
        try runtime.delete(second, configuration)
      }
      configuration["forceAddress"] = true
      try runtime.add(second, configuration)
      #expect(try node.addresses(bridge).sorted() == (conflict.disagrees ? [both[1]] : both.sorted()))
      // A second ADD finds its address on the bridge, which is no conflict.
      try runtime.delete(second, configuration)
      try runtime.add(second, configuration)
    }
  }

  // MARK: Flags of the bridge and of ports

  @Test(arguments: Runtime.versions) func bridgeAndPortsHaveTheConfiguredFlags(_ version: String) throws {
    let runtime = try runtime(version, pods: "a", "b", "c", "d")
    let node = runtime.node
    func port(_ pod: String, _ keys: JSONObject) throws -> JSONObject {
      let before = Set(try node.hostVeths())
      try runtime.add(pod, runtime.bridgeConfiguration([.v4], keys))
      let name = try #require(try node.hostVeths().first { !before.contains($0) })
      return try #require(try node.view().port(name))
    }
    let plain = try port("a", [:])
    #expect(plain["hairpin"] == false && plain["isolated"] == false)
    #expect(try node.view()["bridge0"]?["promiscuity"] == 0)
    let hairpin = try port("b", ["hairpinMode": true])
    #expect(hairpin["hairpin"] == true && hairpin["isolated"] == false)
    let isolated = try port("c", ["portIsolation": true])
    #expect(isolated["isolated"] == true && isolated["hairpin"] == false)
    _ = try port("d", ["promiscMode": true])
    let bridge = try #require(node.view()["bridge0"])
    #expect(bridge["promiscuity"] == 1 && bridge["flags"]?.array?.contains("PROMISC") == true)
    let both = try runtime.call(
      "ADD", "e", configuration: runtime.bridgeConfiguration([.v4], ["promiscMode": true, "hairpinMode": true]))
    #expect(
      both.code == 7
        && both.message.hasPrefix("cannot set hairpin mode and promiscuous mode at the same time"), "\(both)")
  }

  @Test(arguments: Runtime.versions) func theMTUAppliesToBothEndsAndNotToAnExistingBridge(_ version: String) throws {
    let runtime = try runtime(version, pods: "a")
    let node = runtime.node
    try node.sh("ip link add bridge0 type bridge && ip link set bridge0 mtu 1420")
    try runtime.add("a", runtime.bridgeConfiguration([.v4], ["mtu": 1380]))
    #expect(try node.view(inPod: "a")["eth0"]?["mtu"] == 1380)
    let host = try node.view()
    #expect(host[try #require(try node.hostVeths().first)]?["mtu"] == 1380)
    #expect(host["bridge0"]?["mtu"] == 1420)
  }

  // MARK: MACs

  /// Adds and removes ports, one with a lower MAC than all others. A bridge without a MAC of its own would take that.
  @Test(arguments: Runtime.versions) func theBridgesMACStays(_ version: String) throws {
    let runtime = try runtime(version)
    let node = runtime.node
    for (bridge, subnet) in [("bridge4", Subnet.v4), ("bridge6", Subnet.v6)] {
      let configuration = runtime.bridgeConfiguration([subnet], ["bridge": .string(bridge), "name": .string(bridge)])
      func mac() throws -> String? { try node.view()[bridge]?["address"]?.string }
      for pod in ["a", "b", "c"] { try node.addPod("\(pod)-\(bridge)") }
      try runtime.add("a-\(bridge)", configuration)
      let made = try #require(try mac())
      try runtime.add("b-\(bridge)", configuration)
      #expect(try mac() == made)
      try node.sh(
        "ip link add low-\(bridge) address 00:00:00:00:00:01 master \(bridge) type veth peer name x-\(bridge)")
      #expect(try mac() == made)
      for pod in ["a", "b"] { try runtime.delete("\(pod)-\(bridge)", configuration) }
      try node.sh("ip link delete low-\(bridge)")
      #expect(try mac() == made)
      try runtime.add("c-\(bridge)", configuration)
      #expect(try mac() == made)
    }
  }

  @Test(arguments: Runtime.versions) func requestedMACsHaveAPrecedence(_ version: String) throws {
    let runtime = try runtime(version)
    let node = runtime.node
    let (one, two, three) = ("c2:b0:57:49:47:f1", "c2:b0:57:49:47:f2", "c2:b0:57:49:47:f3")
    let cases: [(arguments: String, keys: JSONObject, mac: String)] = [
      ("IgnoreUnknown=true;MAC=\(one)", [:], one),
      ("IgnoreUnknown=true;MAC=\(one)", ["args": ["cni": ["mac": .string(two)]]], two),
      (
        "IgnoreUnknown=true;MAC=\(one)",
        ["args": ["cni": ["mac": .string(two)]], "RuntimeConfig": ["mac": .string(three)]], three
      ),
      // The reference's `bridge` accepts this, its `host-local` does not.
      ("MAC=\(one)", [:], one), ("MAC=\(one);", [:], one),
    ]
    for (index, example) in cases.enumerated() {
      let pod = "p\(index)"
      try node.addPod(pod)
      let configuration = runtime.bridgeConfiguration([.v4], example.keys)
      let answer = try runtime.add(pod, arguments: example.arguments, configuration)
      #expect(try node.view(inPod: pod)["eth0"]?["address"]?.string == example.mac, "\(example)")
      if version >= "0.3.0" { #expect(answer.interfaces.last?["mac"]?.string == example.mac) }
    }
    // Only the pod has the MAC.
    let host = try node.view().links.compactMap { $0["address"]?.string }
    #expect(Set(host).isDisjoint(with: [one, two, three]))
  }

  // MARK: No addresses in the pod

  @Test(arguments: Runtime.versions) func disableContainerInterfaceLeavesTheLinkDown(_ version: String) throws {
    let runtime = try runtime(version, pods: "a", "b")
    let node = runtime.node
    let refused = try runtime.call(
      "ADD", "a", configuration: runtime.bridgeConfiguration([.v4], ["disableContainerInterface": true]))
    let words = "cannot use IPAM when DisableContainerInterface flag is set"
    #expect(refused.code == 7 && refused.message.hasPrefix(words), "\(refused)")
    #expect(try node.view().links.count == 1)

    guard version >= "0.3.0" else { return }
    let configuration = runtime.layer2Configuration(["disableContainerInterface": true])
    let answer = try runtime.add("b", configuration)
    let link = try #require(node.view(inPod: "b")["eth0"])
    #expect(link["flags"]?.array?.contains("UP") == false && link["operstate"]?.string == "DOWN")
    #expect(try node.sh("ip -netns b -6 address show dev eth0").isEmpty)
    if version >= "0.4.0" { try runtime.check("b", answer, configuration: configuration).process.succeeded() }
    try runtime.delete("b", configuration)
    #expect(try node.remains() == [])
  }

  // MARK: Failures and rules

  /// Checks that a failure after IPAM frees the address and removes the veth pair.
  @Test(arguments: Runtime.versions) func anErrorAfterIPAMFreesTheAddress(_ version: String) throws {
    let runtime = try runtime(version, pods: "a", "b")
    let node = runtime.node
    try runtime.add("a", runtime.bridgeConfiguration([.v4]))
    let before = try (node.remains(), node.view().links.count)
    var other = runtime.bridgeConfiguration([.v4])
    other["ipam"] = [
      "type": "host-local", "subnet": .string(Subnet.v4.network),
      "routes": [["dst": "10.50.0.0/16", "gw": "192.0.2.1"]],
    ]
    #expect(try runtime.call("ADD", "b", configuration: other).process.status == 1)
    #expect(try node.remains() == before.0)
    #expect(try node.view().links.count == before.1)
    try runtime.delete("b", other)
    // The pod gets the next address, so the failed ADD has used only one.
    other["ipam"] = ["type": "host-local", "subnet": .string(Subnet.v4.network)]
    #expect(try runtime.add("b", other).hosts.count == 1)
  }

  /// Runs in the node's own namespace, as the reference tests do, with the override that exists for tests.
  @Test(arguments: Runtime.versions) func addCreatesThePodsRulesAndDeleteRemovesThem(_ version: String) throws {
    let runtime = try runtime(version)
    let node = runtime.node
    let override = ["CNI_NETNS_OVERRIDE": "1", "CNI_NETNS": "/proc/self/ns/net"]
    let masquerade = "nft list table inet causeway_pods | grep -F '10.1.2.2 comment' || true"
    let guardian = "nft list table bridge causeway | grep -o 'comment .*' || true"
    let cases: [(keys: JSONObject, rules: String)] = [
      (["ipMasq": true], masquerade), (["ipMasq": true, "ipMasqBackend": "iptables"], masquerade),
      (["ipMasq": true, "ipMasqBackend": "nftables"], masquerade), (["macspoofchk": true], guardian),
    ]
    for example in cases {
      var configuration = runtime.bridgeConfiguration([.v4], example.keys)
      configuration["ipam"] = [
        "type": "host-local", "subnet": .string(Subnet.v4.network), "dataDir": "/run/leases",
      ]
      let added = try runtime.call("ADD", nil, id: "dummy", configuration: configuration, environment: override)
      try added.process.succeeded()
      #expect(try !node.lines(example.rules).isEmpty, "\(example)")
      #expect(try node.view().addresses("eth0") == [Subnet.v4.firstPod])
      let deletion = try runtime.call("DEL", nil, id: "dummy", configuration: configuration, environment: override)
      try deletion.process.succeeded()
      #expect(try node.lines(example.rules).isEmpty, "\(example)")
      #expect(try node.view()["eth0"] == nil && node.hostVeths() == [])
      try node.sh("rm -r /run/leases")
    }
    let wrong = try runtime.call("ADD", "a", configuration: runtime.bridgeConfiguration([.v4], ["ipMasqBackend": "pf"]))
    #expect(wrong.code == 7 && wrong.message.hasPrefix("unknown ipmasq backend \"pf\""), "\(wrong)")
  }
}
