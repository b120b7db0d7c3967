import JSON
import Testing
import TestSupport

/// Properties of a pod's interface besides its addresses.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct PodInterfaceTests {
  /// Checks that the kernel has every field of the configured routes. The reference omits MTU and MSS.
  @Test func routesHaveAllConfiguredFields() throws {
    let runtime = try Runtime.reference("bridge", "1.1.0")
    let node = runtime.node
    try node.addPod("a")
    let routes: JSONValue = [
      ["dst": "10.60.0.0/16"], ["dst": "10.61.0.0/16", "gw": "10.1.2.9"],
      ["dst": "10.62.0.0/16", "priority": 77, "mtu": 1400, "advmss": 1300], ["dst": "10.63.0.0/16", "table": 100],
      ["dst": "10.64.0.0/16", "scope": 253], ["dst": "2001:db8:60::/64", "priority": 78, "mtu": 1390],
      ["dst": "2001:db8:61::/64", "gw": "2001:db8:1::9", "table": 101],
    ]
    var configuration = runtime.bridgeConfiguration([], ["isDefaultGateway": false, "isGateway": true])
    configuration["ipam"] = [
      "type": "host-local", "ranges": [[["subnet": "10.1.2.0/24"]], [["subnet": "2001:db8:1::/64"]]],
      "routes": routes,
    ]
    let answer = try runtime.add("a", configuration)
    #expect(answer.json?["routes"]?.array?.count == 7)

    func route(_ destination: String, table: String = "main") throws -> JSONObject {
      let family = destination.contains(":") ? "-6" : "-4"
      let found = try node.ip(json: family, "route", "show", destination, "table", table, inPod: "a")
      #expect(found.count == 1, "\(destination): \(found)")
      return found.first ?? [:]
    }
    #expect(try route("10.60.0.0/16")["gateway"] == "10.1.2.1")
    #expect(try route("10.61.0.0/16")["gateway"] == "10.1.2.9")
    let third = try route("10.62.0.0/16")
    #expect(third["metric"] == 77 && third["metrics"] == [["mtu": 1400, "advmss": 1300]], "\(third)")
    #expect(try route("10.63.0.0/16", table: "100")["gateway"] == "10.1.2.1")
    let link = try route("10.64.0.0/16")
    #expect(link["gateway"] == nil && link["scope"] == "link", "\(link)")
    let sixth = try route("2001:db8:60::/64")
    #expect(sixth["metric"] == 78 && sixth["metrics"] == [["mtu": 1390]] && sixth["gateway"] == "2001:db8:1::1")
    #expect(try route("2001:db8:61::/64", table: "101")["gateway"] == "2001:db8:1::9")
    try runtime.check("a", answer, configuration: configuration).process.succeeded()
  }

  @Test func ipv6AddressesSurviveALinkThatWasDown() throws {
    let runtime = try Runtime.reference("bridge", "1.0.0")
    let node = runtime.node
    try node.addPod("a")
    try runtime.add("a", runtime.bridgeConfiguration([.v4, .v6]))
    try node.sh("ip -netns a link set eth0 down && ip -netns a link set eth0 up")
    #expect(try node.addresses("eth0", inPod: "a") == [Subnet.v4.firstPod, Subnet.v6.firstPod])
  }

  /// Switches IPv6 off, as runtimes do for single pods and distributions for all links.
  @Test(arguments: Runtime.versions) func ipv6IsSwitchedOnForIPv6Addresses(_ version: String) throws {
    let runtime = try Runtime.reference("bridge", version)
    let node = runtime.node
    for pod in ["a", "b"] { try node.addPod(pod) }
    let off = "for i in all default lo; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done"
    try node.sh(off)
    for pod in ["a", "b"] { try node.sh("ip netns exec \(pod) sh -c '\(off)'") }
    let answer = try runtime.add("a", runtime.bridgeConfiguration([.v4, .v6]))
    #expect(answer.addresses == [Subnet.v4.firstPod, Subnet.v6.firstPod])
    #expect(try node.addresses("eth0", inPod: "a") == answer.addresses)
    #expect(try node.ping(from: "a", Subnet.v6.gateway) && node.ping(from: "a", "::1"))
    // A pod without an IPv6 address keeps IPv6 off.
    try runtime.add("b", runtime.bridgeConfiguration([.v4]))
    #expect(try node.view(inPod: "b").addresses("eth0", family: "inet6", scope: "link") == [])
  }

  // MARK: Duplicate address detection

  @Test func enabledadReturnsWhenTheAddressesAreUsable() throws {
    let runtime = try Runtime.reference("bridge", "1.0.0")
    let node = runtime.node
    try node.addPod("a")
    let configuration = runtime.bridgeConfiguration([.v4, .v6], ["enabledad": true])
    let expectation = BridgeExpectation(version: "1.0.0", bridge: "bridge0", subnets: [.v4, .v6])
    try expectation.add("a", runtime, configuration: configuration)
    #expect(try node.sh("ip netns exec a cat /proc/sys/net/ipv6/conf/eth0/accept_dad") == "1\n")
    #expect(try node.ping(from: "a", Subnet.v6.gateway))
  }

  @Test func enabledadFindsADuplicateAddress() throws {
    let runtime = try Runtime.reference("bridge", "1.0.0")
    let node = runtime.node
    for pod in ["a", "b"] { try node.addPod(pod) }
    try runtime.add("a", runtime.bridgeConfiguration([.v6]))
    try node.sh("ip -netns a address add 2001:db8:1::3/64 dev eth0 nodad")
    let configuration = runtime.bridgeConfiguration([.v6], ["enabledad": true])
    let refused = try runtime.call("ADD", "b", configuration: configuration)
    #expect(refused.message.hasPrefix("somebody else on the bridge has the address 2001:db8:1::3/64"), "\(refused)")
    #expect(try node.hostVeths().count == 1 && node.leases().count == 1 && node.records().count == 1)
    #expect(try node.view(inPod: "b").links.count == 1)
  }
}
