import JSON
import Testing
import TestSupport

/// Known faults of the reference plugins, which causeway must not have.
@Suite(.requiresRoot, .timeLimit(.minutes(3)))
struct ReferenceFaultTests {
  // MARK: The bridge

  /// Fails a first ADD. The reference leaves a bridge without ports, whose MAC is zero and cannot be repaired by a
  /// later ADD.
  @Test func aFailedFirstADDAffectsNoLaterOne() throws {
    let runtime = try Runtime.reference("bridge", "1.0.0")
    let node = runtime.node
    for pod in ["a", "b", "c"] { try node.addPod(pod) }
    let configuration = runtime.bridgeConfiguration([.v4])
    var failing = configuration
    failing["ipam"] = [
      "type": "host-local", "subnet": "10.1.2.0/24", "routes": [["dst": "10.50.0.0/16", "gw": "192.0.2.1"]],
    ]
    #expect(try runtime.call("ADD", "a", configuration: failing).process.status == 1)
    try runtime.delete("a", failing)
    let mac = try runtime.add("b", configuration).interfaces.first?["mac"]?.string
    #expect(try mac == node.view()["bridge0"]?["address"]?.string && mac != "00:00:00:00:00:00")
    #expect(try runtime.add("c", configuration).interfaces.first?["mac"]?.string == mac)
    try runtime.delete("b", configuration)
    #expect(try node.view()["bridge0"]?["address"]?.string == mac)
  }

  /// A bridge as other programs or a boot leave it.
  struct Leftover: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let script: String
  }

  static let leftovers = [
    Leftover(testDescription: "without address", script: "ip link add bridge0 type bridge && ip link set bridge0 up"),
    Leftover(testDescription: "down", script: "ip link add bridge0 type bridge"),
    // The last port takes the MAC with it if the bridge has no configured MAC.
    Leftover(
      testDescription: "with a MAC of zeros",
      script: """
        ip link add bridge0 type bridge && ip link set bridge0 up && ip link add x type veth peer name y
        ip link set x master bridge0 && ip link delete x
        test $(cat /sys/class/net/bridge0/address) = 00:00:00:00:00:00
        """),
    Leftover(
      testDescription: "without IPv6",
      script: "ip link add bridge0 type bridge && echo 1 >/proc/sys/net/ipv6/conf/bridge0/disable_ipv6"),
    Leftover(
      testDescription: "with half of its addresses",
      script: "ip link add bridge0 type bridge && ip link set bridge0 up && ip address add 10.1.2.1/24 dev bridge0"),
  ]

  @Test(arguments: leftovers) func anIncompleteBridgeIsCompleted(_ leftover: Leftover) throws {
    let runtime = try Runtime.reference("bridge", "1.0.0")
    let node = runtime.node
    for pod in ["a", "b", "c"] { try node.addPod(pod) }
    try node.sh(leftover.script)
    let configuration = runtime.bridgeConfiguration([.v4, .v6])
    let expectation = BridgeExpectation(version: "1.0.0", bridge: "bridge0", subnets: [.v4, .v6])
    let answer = try expectation.add("a", runtime, configuration: configuration)
    #expect(try node.ping(from: "a", "10.1.2.1") && node.ping(from: "a", "2001:db8:1::1"))
    // Pods know their gateway by its MAC, which stays when ports come, even with lower MACs, and when they are removed.
    let mac = answer.interfaces.first?["mac"]
    #expect(try runtime.add("b", configuration).interfaces.first?["mac"] == mac)
    try node.sh("ip link add low address 00:00:00:00:00:01 master bridge0 type veth peer name x")
    #expect(try runtime.add("c", configuration).interfaces.first?["mac"] == mac)
    try node.sh("ip link delete low")
    for pod in ["a", "b"] { try runtime.delete(pod, configuration) }
    #expect(try node.view()["bridge0"]?["address"] == mac)
    #expect(try node.ping(from: "c", "10.1.2.1"))
  }

  // MARK: Names

  /// Takes names of the host's end. The reference searches a free name in the pod's namespace instead of the node's.
  @Test func tenNamesOfTheHostsEndAreTried() throws {
    let runtime = try Runtime.reference("bridge", "1.0.0")
    let node = runtime.node
    try node.addPod("a")
    let configuration = runtime.bridgeConfiguration([.v4])
    var taken: [String] = []
    while taken.count < 10 {
      let answer = try runtime.add("a", configuration)
      let port = try #require(answer.interfaces[1]["name"]?.string)
      #expect(!taken.contains(port))
      try runtime.check("a", answer, configuration: configuration).process.succeeded()
      try runtime.delete("a", configuration)
      // A veth pair like ours, without the mark and the MAC.
      try node.ip("link", "add", port, "type", "veth", "peer", "name", "x\(taken.count)")
      taken.append(port)
    }
    let answer = try runtime.call("ADD", "a", configuration: configuration)
    #expect(answer.process.status == 1 && answer.message.hasPrefix("no free name for the host's end"), "\(answer)")
    #expect(try node.hostVeths().sorted() == taken.sorted())
    #expect(try node.leases() == [] && node.records() == [])
    // DEL removes none of them, with or without a namespace.
    try runtime.delete("a", configuration)
    try runtime.call("DEL", nil, id: "a", configuration: configuration).process.succeeded()
    #expect(try node.hostVeths().count == 10)
    try node.ip("link", "delete", taken[7])
    #expect(try runtime.add("a", configuration).interfaces[1]["name"]?.string == taken[7])
  }

  /// Acts as udev's MACAddressPolicy: each new link of the host whose MAC is not set by a program gets another MAC.
  @Test func udevChangesNoMAC() throws {
    let runtime = try Runtime.reference("bridge", "1.1.0")
    let node = runtime.node
    let udev = try node.start([
      "/bin/bash", "-c",
      """
      ip -o monitor link | while read -r _ name _; do
        name=${name%:}; name=${name%@*}
        { read -r type </sys/class/net/$name/addr_assign_type; } 2>/dev/null || continue
        [ "$type" = 3 ] || ip link set $name address 06:ad:$(od -An -N4 -tx1 /dev/urandom | tr ' ' : | cut -c2-)
      done
      """,
    ])
    // Proof that it works: a veth pair without configured MACs gets others soon, after all earlier links were seen.
    func waitForUdev(_ name: String) throws {
      let isChanged = try eventually(within: .seconds(40)) {
        try node.sh("ip link delete \(name) 2>/dev/null || true; ip link add \(name) type veth peer name \(name)-peer")
        return try eventually(within: .seconds(3)) {
          try node.view()[name]?["address"]?.string?.hasPrefix("06:ad:") == true
        }
      }
      #expect(isChanged, "\(udev.output)")
    }
    try waitForUdev("before")
    let configuration = runtime.bridgeConfiguration([.v4, .v6])
    let pods = try runtime.addPods(8)
    let answers = try pods.map { try runtime.add($0, configuration) }
    try waitForUdev("after")
    let host = try node.view()
    for (pod, answer) in zip(pods, answers) {
      for interface in answer.interfaces.prefix(2) {
        #expect(host[interface["name"]?.string ?? ""]?["address"] == interface["mac"])
      }
      #expect(try node.view(inPod: pod)["eth0"]?["address"] == answer.interfaces[2]["mac"])
      try runtime.check(pod, answer, configuration: configuration).process.succeeded()
    }
  }

  // MARK: Routes

  /// Gets a default route without gateway from IPAM. The reference adds a second one beside it and fails.
  @Test(arguments: ["host-local", "static"]) func aDefaultRouteWithoutGatewayStaysTheOnlyOne(_ ipam: String) throws {
    var runtime = try Runtime.reference("bridge", "1.0.0")
    runtime.searchPath = "/opt/cni/bin:/usr/lib/cni"
    let node = runtime.node
    try node.addPod("a")
    var section: JSONObject = ["type": .string(ipam), "routes": [["dst": "0.0.0.0/0"], ["dst": "::/0"]]]
    section["ranges"] = [[["subnet": "10.1.2.0/24"]], [["subnet": "2001:db8:1::/64"]]]
    section["addresses"] = [
      ["address": "10.1.2.2/24", "gateway": "10.1.2.1"], ["address": "2001:db8:1::2/64", "gateway": "2001:db8:1::1"],
    ]
    let configuration = runtime.bridgeConfiguration([], ["ipam": .object(section)])
    let answer = try BridgeExpectation(version: "1.0.0", bridge: "bridge0", subnets: [.v4, .v6]).add(
      "a", runtime, configuration: configuration)
    try runtime.check("a", answer, configuration: configuration).process.succeeded()
  }
}
