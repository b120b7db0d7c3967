import JSON
import Testing
import TestSupport

/// A failed ADD changes nothing, or restores what was there.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct FailedAddTests {
  /// A configuration whose last step fails: the pod cannot reach the gateway of its route.
  private func failing(_ runtime: Runtime, ranges: JSONValue, keys: JSONObject = [:]) -> JSONObject {
    var configuration = runtime.configuration(keys)
    configuration["ipam"] = ["ranges": ranges, "routes": [["dst": "10.50.0.0/16", "gw": "192.0.2.1"]]]
    return configuration
  }

  @Test func theNodesOwnNamespaceIsRefusedBeforeAnyChange() throws {
    let node = try TestNode()
    try node.sh("ip link add eth0 type veth peer name other")
    let runtime = Runtime(node: node)
    for verb in ["ADD", "DEL", "CHECK"] {
      let answer = try runtime.call(
        verb, nil, id: "a", configuration: runtime.configuration(["prevResult": ["cniVersion": "1.1.0"]]),
        environment: ["CNI_NETNS": "/proc/self/ns/net"])
      #expect(answer.process.status == 1)
      #expect(answer.code == 8, "\(answer)")
      #expect(answer.message.contains("CNI_NETNS"))
    }
    #expect(try node.remains() == [])
    #expect(try node.ip(json: "link", "show", "dev", "eth0").count == 1)
    #expect(try node.run(["ip", "link", "show", "cni0"]).status != 0)
  }

  @Test func anExistingInterfaceCostsNoAddress() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try node.sh("ip -netns a link add eth0 type veth peer name other")
    let answer = try runtime.call("ADD", "a", configuration: runtime.configuration())
    #expect(answer.process.status == 1)
    #expect(answer.message.contains("\"eth0\" already exists"), "\(answer)")
    #expect(try node.remains() == [])
    #expect(try node.ip(json: "link", "show", "dev", "eth0", inPod: "a").count == 1)
  }

  @Test func aFailureInThePodIsRolledBack() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let configuration = failing(runtime, ranges: runtime.ranges(.dual))
    let answer = try runtime.call("ADD", "a", configuration: configuration)
    #expect(answer.process.status == 1)
    #expect(answer.message.contains("10.50.0.0/16"), "\(answer)")
    #expect(try node.remains() == [])
    #expect(try node.run(["ip", "link", "show", "cni0"]).status != 0, "the bridge of the failed ADD stayed")
    #expect(try node.run(["ip", "-netns", "a", "link", "show", "eth0"]).status != 0)
  }

  /// Fails the write of the answer, as after the runtime was killed. The runtime's clean-up may have run before.
  @Test(arguments: ["causeway", "host-local"])
  func anAnswerThatCannotBeWrittenIsRolledBack(_ program: String) throws {
    let node = try TestNode()
    try node.addPod("a")
    try node.sh("ln -s \(Binaries.causeway) /opt/cni/bin/\(program)")
    let configuration = try JSONValue.object(Runtime(node: node).configuration()).text()
    let process = try node.run(
      ["/bin/sh", "-c", "/opt/cni/bin/\(program) >/dev/full"],
      environment: [
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "a", "CNI_NETNS": "/run/netns/a", "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin",
      ], input: configuration)
    #expect(process.status == 1)
    #expect(process.errors.contains("standard output"), "\(process)")
    #expect(try node.remains() == [])
    #expect(try node.run(["ip", "link", "show", "cni0"]).status != 0)
  }

  @Test func aFailureKeepsABridgeThatOthersUse() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    for pod in ["a", "b"] { try node.addPod(pod) }
    try runtime.add("a")
    let configuration = failing(runtime, ranges: runtime.ranges(.dual))
    #expect(try runtime.call("ADD", "b", configuration: configuration).process.status == 1)
    #expect(try node.ping(from: "a", "10.9.0.1"))
    #expect(try node.hostVeths().count == 1)
    #expect(try node.leases().count == 2)
  }

  @Test func aFailureRestoresAnExistingBridge() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.sh("ip link add cni0 type bridge && ip address add 10.77.0.1/24 dev cni0 && ip link set cni0 up")
    try node.addPod("a")
    let configuration = failing(runtime, ranges: [[["subnet": "10.78.0.0/24"]]], keys: ["forceAddress": true])
    #expect(try runtime.call("ADD", "a", configuration: configuration).process.status == 1)
    #expect(try node.addresses("cni0") == ["10.77.0.1/24"])
    #expect(try node.remains() == [])
  }

  /// Uses a new gateway in the old one's subnet: in the wrong order the kernel removes both addresses.
  @Test func aReplacedAddressOfTheSubnetIsRestored() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.sh("ip link add cni0 type bridge && ip address add 10.78.0.9/24 dev cni0 && ip link set cni0 up")
    try node.addPod("a")
    let configuration = failing(runtime, ranges: [[["subnet": "10.78.0.0/24"]]], keys: ["forceAddress": true])
    #expect(try runtime.call("ADD", "a", configuration: configuration).process.status == 1)
    #expect(try node.addresses("cni0") == ["10.78.0.9/24"])
    #expect(try node.remains() == [])
  }

  /// Closes standard output, so that the first socket gets its number. The answer must not be written there.
  @Test func withoutStandardOutputAddIsRolledBack() throws {
    let node = try TestNode()
    var runtime = Runtime(node: node)
    let plugin = runtime.plugin
    try node.sh("printf '#!/bin/sh\\nexec \(plugin) >&-\\n' >/run/closed && chmod +x /run/closed")
    runtime.plugin = "/run/closed"
    try node.addPod("a")
    #expect(try runtime.call("ADD", "a", configuration: runtime.configuration()).process.status == 1)
    #expect(try node.remains() == [])
  }

  @Test func aBridgeWithSpanningTreeGetsItsPod() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.sh("ip link add cni0 type bridge stp_state 1 && ip link set cni0 up")
    try node.addPod("a")
    try runtime.add("a")
  }

  @Test func aSecondADDIsRefusedAndHarmsNothing() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try runtime.add("a")
    #expect(try runtime.call("ADD", "a", configuration: runtime.configuration()).process.status == 1)
    #expect(try node.ping(from: "a", "10.9.0.1"))
    #expect(try node.leases().count == 2)
    #expect(try node.hostVeths().count == 1)
  }

  @Test func anExhaustedRangeIsReported() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let configuration = runtime.configuration(["ipam": ["ranges": [[["subnet": "10.9.0.0/29"]]]]])
    for pod in try runtime.addPods(5) { try runtime.add(pod, configuration) }
    try node.addPod("p6")
    let answer = try runtime.call("ADD", "p6", configuration: configuration)
    #expect(answer.code == 11, "\(answer)")
    #expect(answer.message.contains("no IP addresses available in range set: 10.9.0.1-10.9.0.6"))
    #expect(try node.leases().count == 5)
    #expect(try node.hostVeths().count == 5)
  }

  @Test func aBridgeNameOfAnotherKindOfLinkIsRefused() throws {
    let node = try TestNode()
    try node.sh("ip link add cni0 type veth peer name other")
    try node.addPod("a")
    let runtime = Runtime(node: node)
    let answer = try runtime.call("ADD", "a", configuration: runtime.configuration())
    #expect(answer.code == 7)
    #expect(answer.message.contains("\"cni0\" already exists but is not a bridge"), "\(answer)")
    #expect(try node.leases() == [] && node.records() == [])
  }
}
