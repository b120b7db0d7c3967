import JSON
import Testing
import TestSupport

/// CHECK detects that an attachment differs from the result of ADD, and ignores everything else.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct CheckTests {
  static let versions = Runtime.versions.filter { $0 >= "0.4.0" }

  /// A fault, the message of CHECK and the command that repairs it. `$port` is the host's end.
  struct Fault: Sendable, CustomTestStringConvertible {
    let message: String
    let fault: String
    let remedy: String
    var testDescription: String { message }

    init(_ message: String, _ fault: String, _ remedy: String) {
      self.message = message
      self.fault = fault
      self.remedy = remedy
    }
  }

  /// Restores the routes, which the kernel removes together with a link or an address.
  private static let routes = """
    for route in default 10.60.0.0/16; do ip -netns a route replace $route via 10.9.0.1; done
    ip -netns a route replace default via fd00:9::1
    """

  static let faults = [
    Fault(
      "the container's \"eth0\" is down", "ip -netns a link set eth0 down",
      "ip -netns a link set eth0 up && \(routes)"),
    Fault(
      "\"eth0\" has lost its address 10.9.0.2/24", "ip -netns a address del 10.9.0.2/24 dev eth0",
      "ip -netns a address add 10.9.0.2/24 dev eth0 && \(routes)"),
    Fault(
      "\"eth0\" has lost its address fd00:9::2/64", "ip -netns a address del fd00:9::2/64 dev eth0",
      "ip -netns a address add fd00:9::2/64 dev eth0 nodad && \(routes)"),
    Fault(
      "has lost its route to 0.0.0.0/0 via 10.9.0.1",
      "ip -netns a route replace default via 10.9.0.77", routes),
    Fault(
      "has lost its route to ::/0 via fd00:9::1", "ip -netns a -6 route del default", routes),
    Fault(
      "has lost its route to 10.60.0.0/16", "ip -netns a route del 10.60.0.0/16", routes),
    Fault(
      "the MAC of \"eth0\" is 02:00:00:00:00:99", "ip -netns a link set eth0 address 02:00:00:00:00:99",
      "ip -netns a link set eth0 address $mac"),
    Fault(
      "the host's end of \"eth0\", is not a port of \"cni0\"", "ip link set $port nomaster",
      "ip link set $port master cni0 && bridge link set dev $port hairpin on"),
    Fault(
      "the host's end of \"eth0\", is down", "ip link set $port down", "ip link set $port up"),
    Fault(
      "is 02:00:00:00:00:98, not", "ip link set $port address 02:00:00:00:00:98",
      "ip link set $port address $portmac"),
    Fault(
      "the bridge \"cni0\" is down", "ip link set cni0 down",
      "ip link set cni0 up && ip address replace fd00:9::1/64 dev cni0 nodad"),
    Fault(
      "\"cni0\" has lost the gateway's address 10.9.0.1", "ip address del 10.9.0.1/24 dev cni0",
      "ip address add 10.9.0.1/24 dev cni0"),
    Fault(
      "\"cni0\" has lost the gateway's address fd00:9::1", "ip address del fd00:9::1/64 dev cni0",
      "ip address add fd00:9::1/64 dev cni0 nodad"),
    Fault(
      "the rule that masquerades 10.9.0.2 is gone",
      "nft list map inet causeway_pods masquerade4 >/run/rules && nft flush map inet causeway_pods masquerade4",
      "nft -f /run/rules"),
    Fault(
      "to the MAC", "nft list table bridge causeway >/run/rules && nft flush set bridge causeway senders",
      "nft delete table bridge causeway && nft -f /run/rules"),
    Fault(
      "belongs to the container", "mv /var/lib/cni/networks/podnet /run/podnet",
      "mv /run/podnet /var/lib/cni/networks/podnet"),
  ]

  @Test(arguments: versions) func findsEachFaultUntilItIsRepaired(_ version: String) throws {
    let node = try TestNode()
    let runtime = Runtime(node: node, version: version)
    try node.addPod("a")
    let configuration = runtime.configuration([
      "ipMasq": true, "macspoofchk": true,
      "ipam": ["ranges": runtime.ranges(.dual), "routes": [["dst": "10.60.0.0/16"]]],
    ])
    let answer = try runtime.add("a", configuration)
    let port = try #require(answer.interfaces[1]["name"]?.string)
    let portMAC = try #require(answer.interfaces[1]["mac"]?.string)
    let mac = try #require(answer.interfaces[2]["mac"]?.string)
    try runtime.check("a", answer, configuration: configuration).process.succeeded()
    for fault in Self.faults {
      let names = "port=\(port) portmac=\(portMAC) mac=\(mac);"
      try node.sh("\(names) \(fault.fault)")
      let check = try runtime.check("a", answer, configuration: configuration)
      #expect(
        check.process.status == 1 && check.code == 100 && check.message.contains(fault.message),
        "\(fault.message): \(check)")
      try node.sh("\(names) \(fault.remedy)")
      try runtime.check("a", answer, configuration: configuration).process.succeeded()
    }
    try node.sh("ip -netns a link delete eth0")
    #expect(try runtime.check("a", answer, configuration: configuration).message.contains("has no interface \"eth0\""))
    try runtime.delete("a", configuration)
    #expect(try node.remains() == [])
  }

  /// Changes what is not the plugin's concern. The reference's CHECK fails with a packet capture on the bridge.
  @Test(arguments: versions) func ignoresChangesByOthers(_ version: String) throws {
    let runtime = try Runtime.reference("bridge", version)
    let node = runtime.node
    try node.addPod("a")
    let configuration = runtime.bridgeConfiguration([.v4, .v6])
    let answer = try runtime.add("a", configuration)
    let listener = try node.start(["tcpdump", "-lni", "bridge0"])
    let listens = try eventually { try node.view()["bridge0"]?["promiscuity"] != 0 }
    #expect(listens, "\(listener.output)")
    try node.sh(
      """
      ip -netns a route add 10.77.0.0/16 via 10.1.2.1 && ip -netns a route add default via 10.1.2.9 metric 5
      ip -netns a -6 route add 2001:db8:7::/64 via 2001:db8:1::1
      ip -netns a address add 10.99.0.1/32 dev eth0 && ip -netns a link add other type veth peer name more
      ip -netns a link set eth0 mtu 1400 && ip address add 2001:db8:5::1/64 dev bridge0
      sysctl -q net.ipv4.ip_forward=0
      """)
    try runtime.check("a", answer, configuration: configuration).process.succeeded()
    try node.sh("ip link set bridge0 promisc on")
    try runtime.check("a", answer, configuration: configuration).process.succeeded()
    listener.stop()
  }

  /// Checks against `prevResult`, which later plugins of the chain may have changed.
  @Test(arguments: versions) func checksAgainstTheResultOfTheChain(_ version: String) throws {
    let runtime = try Runtime.reference("bridge", version)
    let node = runtime.node
    try node.addPod("a")
    let configuration = runtime.bridgeConfiguration([.v4])
    var result = try #require(runtime.add("a", configuration).json)
    try node.sh("ip -netns a link set eth0 address 02:00:00:00:00:42")
    var check = configuration
    check["prevResult"] = .object(result)
    #expect(try runtime.call("CHECK", "a", configuration: check).message.contains("the MAC of \"eth0\""))
    var interfaces = try #require(result["interfaces"]?.array)
    interfaces[2] = ["name": "eth0", "mac": "02:00:00:00:00:42", "sandbox": "/run/netns/a"]
    interfaces.append(["name": "ifb0", "mac": "02:00:00:00:00:43"])
    result["interfaces"] = .array(interfaces)
    check["prevResult"] = .object(result)
    try runtime.call("CHECK", "a", configuration: check).process.succeeded()
  }

  @Test(arguments: versions) func requiresAResultForThisInterface(_ version: String) throws {
    let runtime = try Runtime.reference("bridge", version)
    let node = runtime.node
    try node.addPod("a")
    let configuration = runtime.bridgeConfiguration([.v4])
    let answer = try runtime.add("a", configuration)
    let missing = try runtime.call("CHECK", "a", configuration: configuration)
    #expect(missing.code == 7 && missing.message.hasPrefix("Required prevResult missing"), "\(missing)")
    let another = try runtime.check("a", interface: "eth1", answer, configuration: configuration)
    #expect(another.process.status == 1 && another.message.contains("\"eth1\""), "\(another)")
  }
}
