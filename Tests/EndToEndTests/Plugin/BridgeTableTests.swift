import JSON
import Testing
import TestSupport

/// The reference's tests of `bridge` for every version: pods with addresses and without.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct BridgeTableTests {
  /// The subnets that a pod has addresses in.
  struct Layout: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let subnets: [Subnet]
  }

  static let layouts = [
    Layout(testDescription: "IPv4", subnets: [.v4]), Layout(testDescription: "IPv6", subnets: [.v6]),
    Layout(testDescription: "both", subnets: [.v4, .v6]),
    Layout(testDescription: "one IPv4, two IPv6", subnets: [.v4, .v6, .otherV6]),
  ]

  /// Runs ADD, CHECK and DEL, and checks the state after each of them.
  @Test(arguments: Runtime.versions, layouts)
  func aPodBehindADefaultGatewayIsAddedCheckedAndDeleted(_ version: String, _ layout: Layout) throws {
    let runtime = try Runtime.reference("bridge", version)
    let node = runtime.node
    try node.addPod("a")
    let configuration = runtime.bridgeConfiguration(layout.subnets)
    if version < "0.3.0", layout.subnets.count > 2 {
      try checkRefused(runtime, configuration)
      return
    }
    let expectation = BridgeExpectation(version: version, bridge: "bridge0", subnets: layout.subnets)
    let answer = try expectation.add("a", runtime, configuration: configuration)
    let check = try runtime.check("a", answer, configuration: configuration)
    if version < "0.4.0" {
      #expect(check.code == 1 && check.message.hasPrefix("config version does not allow CHECK"), "\(check)")
    } else {
      try check.process.succeeded()
    }
    #expect(check.process.status == 1 || check.process.output.isEmpty)
    // Runtimes pass the result to DEL from 0.4.0 on.
    let deletion = version < "0.4.0" ? configuration : runtime.configuration(configuration, after: answer)
    #expect(try runtime.call("DEL", "a", configuration: deletion).process.succeeded().output.isEmpty)
    try expectation.checkDeleted("a", node)
    try runtime.delete("a", deletion)
  }

  /// Checks that ADD refuses two addresses of one family before 0.3.0, and that DEL succeeds anyway.
  private func checkRefused(_ runtime: Runtime, _ configuration: JSONObject) throws {
    let refused = try runtime.call("ADD", "a", configuration: configuration)
    #expect(
      refused.code == 7
        && refused.message.hasPrefix("CNI version \(runtime.version) does not support more than 1 address per family"),
      "\(refused)")
    #expect(try runtime.node.view().links.count == 1)
    try runtime.delete("a", configuration)
    #expect(try runtime.node.remains() == [])
  }

  @Test(arguments: Runtime.versions)
  func nameServersComeFromIPAMOrEntirelyFromTheConfiguration(_ version: String) throws {
    let runtime = try Runtime.reference("bridge", version)
    let node = runtime.node
    try node.sh("printf 'nameserver 192.0.3.1\\nsearch a b\\n' >/run/resolv.conf")
    for pod in ["a", "b"] { try node.addPod(pod) }
    let ipam: JSONObject = [
      "ipam": ["type": "host-local", "subnet": .string(Subnet.v4.network), "resolvConf": "/run/resolv.conf"]
    ]
    var configuration = runtime.bridgeConfiguration([], ipam)
    let expectation = BridgeExpectation(
      version: version, bridge: "bridge0", subnets: [.v4], dns: ["nameservers": ["192.0.3.1"], "search": ["a", "b"]])
    try expectation.add("a", runtime, configuration: configuration)
    configuration["dns"] = ["domain": "example.com"]
    #expect(try runtime.add("b", configuration).json?["dns"] == ["domain": "example.com"])
  }

  /// Runs without IPAM; versions before 0.3.0 have no result for that.
  @Test(arguments: Runtime.versions) func podsWithoutIPAMHaveLayer2Only(_ version: String) throws {
    let runtime = try Runtime.reference("bridge", version)
    let node = runtime.node
    try node.addPod("a")
    let configuration = runtime.layer2Configuration()
    if version < "0.3.0" {
      let refused = try runtime.call("ADD", "a", configuration: configuration)
      #expect(refused.code == 1 && refused.message.hasPrefix("cannot convert: no valid IP addresses"), "\(refused)")
      // The reference detects this after its work is done; causeway must do nothing first.
      #expect(try node.view().links.count == 1)
      try runtime.delete("a", configuration)
      return
    }
    let expectation = BridgeExpectation(
      version: version, bridge: "bridge0", subnets: [], hasDefaultRoutes: false)
    let answer = try expectation.add("a", runtime, configuration: configuration)
    // The reference's CHECK calls an IPAM plugin that does not exist.
    if version >= "0.4.0" { try runtime.check("a", answer, configuration: configuration).process.succeeded() }
    try runtime.delete("a", configuration)
    try expectation.checkDeleted("a", node)
  }

  @Test(arguments: Runtime.versions) func deletingAnUnknownPodSucceeds(_ version: String) throws {
    let runtime = try Runtime.reference("bridge", version)
    try runtime.node.addPod("a")
    for configuration in [runtime.bridgeConfiguration([.v4]), runtime.layer2Configuration()] {
      #expect(try runtime.call("DEL", "a", configuration: configuration).process.succeeded().output.isEmpty)
      try runtime.call("DEL", nil, id: "a", configuration: configuration).process.succeeded()
    }
    #expect(try runtime.node.view().links.count == 1)
    #expect(try runtime.node.remains() == [])
  }

  @Test(arguments: Runtime.versions) func aBridgeIsCreatedOnceAndReused(_ version: String) throws {
    let runtime = try Runtime.reference("bridge", version)
    let node = runtime.node
    for pod in ["a", "b", "c"] { try node.addPod(pod) }
    let configuration = runtime.bridgeConfiguration([.v4])
    try runtime.add("a", configuration)
    let made = try #require(node.view()["bridge0"])
    try runtime.delete("a", configuration)
    try runtime.add("b", configuration)
    let kept = try #require(node.view()["bridge0"])
    #expect(made["ifindex"] == kept["ifindex"] && made["address"] == kept["address"])
    // A bridge of another origin, down and without address, is used as it is.
    try node.sh("ip link add bridge1 address 0a:00:00:00:00:01 mtu 1400 type bridge forward_delay 700")
    let foreign = try #require(node.view()["bridge1"])
    try runtime.add("c", runtime.bridgeConfiguration([.v6], ["bridge": "bridge1"]))
    let adopted = try node.view()
    #expect(adopted["bridge1"]?["ifindex"] == foreign["ifindex"])
    #expect(adopted["bridge1"]?["address"]?.string == "0a:00:00:00:00:01")
    #expect(adopted.bridge("bridge1")?["forward_delay"] == 700)
    #expect(adopted.addresses("bridge1") == [Subnet.v6.gatewayAddress])
  }
}
