import JSON
import Testing
import TestSupport

/// ADD and DEL of pods in bridge mode, with the shipped plugin.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct AddAndDeleteTests {
  @Test(arguments: ["1.0.0", "1.1.0"], Runtime.Families.allCases)
  func addConnectsAPodToItsGatewayAndDeleteLeavesNothing(_ version: String, _ families: Runtime.Families) throws {
    let node = try TestNode()
    let runtime = Runtime(node: node, version: version)
    let configuration = runtime.configuration(["ipam": ["ranges": runtime.ranges(families)]])
    try node.addPod("a")
    let answer = try runtime.add("a", configuration)

    let expected: [String] =
      switch families {
      case .v4: ["10.9.0.2/24"]
      case .v6: ["fd00:9::2/64"]
      case .dual: ["10.9.0.2/24", "fd00:9::2/64"]
      }
    #expect(answer.addresses == expected)
    #expect(try node.addresses("eth0", inPod: "a") == expected)
    #expect(answer.json?["cniVersion"]?.string == version)

    // Bridge, host's end, pod interface: chained plugins rely on this order.
    try #require(answer.interfaces.count == 3)
    #expect(answer.interfaces[0]["name"]?.string == "cni0")
    #expect(answer.interfaces[1]["name"]?.string?.hasPrefix("veth") == true)
    #expect(answer.interfaces[2]["name"]?.string == "eth0")
    #expect(answer.interfaces.map { $0["sandbox"]?.string } == [nil, nil, "/run/netns/a"])
    #expect(answer.interfaces.map { $0["mtu"] } == Array(repeating: version == "1.1.0" ? 1500 : nil, count: 3))

    // The kernel's state is what the answer reports.
    let inside = try #require(node.ip(json: "link", "show", "dev", "eth0", inPod: "a").first)
    #expect(inside["address"] == answer.interfaces[2]["mac"])
    #expect(inside["operstate"]?.string == "UP")
    let hostName = try #require(answer.interfaces[1]["name"]?.string)
    let outside = try #require(node.ip(json: "link", "show", "dev", hostName).first)
    #expect(outside["address"] == answer.interfaces[1]["mac"])
    #expect(outside["master"]?.string == "cni0")
    #expect(outside["operstate"]?.string == "UP")
    #expect(outside["linkinfo"]?.object?["info_slave_data"]?.object?["hairpin"] == true)
    let bridge = try #require(node.ip(json: "link", "show", "dev", "cni0").first)
    #expect(bridge["address"] == answer.interfaces[0]["mac"])
    let loopback = try #require(node.ip(json: "link", "show", "dev", "lo", inPod: "a").first)
    #expect(loopback["flags"]?.array?.contains("UP") == true)

    for gateway in answer.json?["ips"]?.array?.compactMap({ $0.object?["gateway"]?.string }) ?? [] {
      #expect(try node.ping(from: "a", gateway))
      let family = gateway.contains(":") ? "-6" : "-4"
      let routes = try node.ip(json: family, "route", "show", "default", inPod: "a")
      #expect(routes.map { $0["gateway"]?.string } == [gateway])
    }

    try runtime.delete("a", configuration)
    #expect(try node.remains() == [])
    #expect(try node.ip(json: "link", "show", "dev", "lo", inPod: "a").count == 1)
    #expect(try node.ip(json: "link", "show", "type", "veth", inPod: "a").isEmpty)
  }

  @Test func forwardsPacketsAndKeepsTheBridgesMAC() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    var macs: Set<String> = []
    for pod in ["a", "b", "c"] {
      try node.addPod(pod)
      let answer = try runtime.add(pod)
      macs.insert(try #require(answer.interfaces.first?["mac"]?.string))
    }
    #expect(macs.count == 1)
    try runtime.delete("a")
    #expect(try node.ip(json: "link", "show", "dev", "cni0").first?["address"]?.string == macs.first)
    #expect(try node.sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding") == "1\n1\n")
    #expect(try node.addresses("cni0") == ["10.9.0.1/24", "fd00:9::1/64"])
    #expect(try node.ping(from: "b", "10.9.0.4") && node.ping(from: "b", "fd00:9::4"))
  }

  @Test func addressesAreUsableAtOnce() throws {
    let node = try TestNode()
    try node.addPod("a")
    try Runtime(node: node).add("a")
    let states = try node.ip(json: "address", "show", "dev", "eth0", inPod: "a").flatMap {
      $0["addr_info"]?.array?.compactMap(\.object) ?? []
    }
    #expect(states.filter { $0["scope"]?.string == "global" }.allSatisfy { $0["tentative"] == nil })
  }

  /// Checks that the neighbour of a removed pod reaches the pod that has its address now, before the neighbour's cache
  /// expires.
  @Test func announcesAReusedAddress() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    for pod in ["old", "watcher", "new"] { try node.addPod(pod) }
    let old = try runtime.add("old")
    try runtime.add("watcher")
    for host in old.hosts { #expect(try node.ping(from: "watcher", host)) }
    try runtime.delete("old")
    var configuration = runtime.configuration()
    configuration["runtimeConfig"] = ["ips": .array(old.addresses.map { .string($0) })]
    let new = try runtime.add("new", configuration)
    #expect(new.hosts == old.hosts)
    let mac = new.interfaces.last?["mac"]?.string
    #expect(mac != old.interfaces.last?["mac"]?.string)
    for host in new.hosts {
      let updated = try eventually(within: .seconds(3)) {
        try node.ip(json: "neighbour", "show", "to", host, inPod: "watcher").first?["lladdr"]?.string == mac
      }
      #expect(updated, "the watcher still has the old MAC of \(host)")
    }
  }

  @Test func twoInterfacesOfOneContainerAreIndependent() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try runtime.add("a")
    try runtime.add("a", interface: "net1")
    #expect(try node.addresses("net1", inPod: "a") == ["10.9.0.3/24", "fd00:9::3/64"])
    // The first network keeps its default route.
    for (family, gateway) in [("-4", "10.9.0.1"), ("-6", "fd00:9::1")] {
      let routes = try node.ip(json: family, "route", "show", "default", inPod: "a")
      #expect(routes.first?["dev"]?.string == "eth0" && routes.first?["gateway"]?.string == gateway, "\(routes)")
    }
    try runtime.call("DEL", "a", interface: "net1", configuration: runtime.configuration()).process.succeeded()
    #expect(try node.addresses("eth0", inPod: "a") == ["10.9.0.2/24", "fd00:9::2/64"])
    #expect(try node.leases().count == 2)
  }

  @Test func aPodWithoutIPAMHasLayer2Only() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let configuration = runtime.configuration(["ipam": ["type": "none"]])
    let answer = try runtime.add("a", configuration)
    #expect(answer.addresses == [] && answer.interfaces.count == 3)
    #expect(try node.addresses("eth0", inPod: "a") == [])
    try runtime.delete("a", configuration)
    #expect(try node.remains() == [])
  }

  /// Checks `accept_ra`: a node that does not forward IPv6 would accept a pod as its router.
  @Test(arguments: [true, false])
  func bridgesOfPodsAcceptNoRouterAdvertisements(_ bridgeIsThere: Bool) throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    if bridgeIsThere { try node.sh("ip link add cni0 type bridge && ip link set cni0 up") }
    try node.addPod("a")
    try runtime.add("a", runtime.configuration(["ipam": ["ranges": runtime.ranges(.v4)]]))
    #expect(try node.sh("cat /proc/sys/net/ipv6/conf/cni0/accept_ra") == "0\n")
    // ADD also switches it off on a bridge that it creates without a gateway, because that is no uplink.
    try node.addPod("c")
    try runtime.add("c", runtime.configuration(["bridge": "br1", "ipam": ["type": "none"]]))
    #expect(try node.sh("cat /proc/sys/net/ipv6/conf/br1/accept_ra") == "0\n")
    // An existing bridge without a gateway may be the node's uplink.
    try node.sh("ip link add br0 type bridge && ip link set br0 up && echo 2 >/proc/sys/net/ipv6/conf/br0/accept_ra")
    try node.addPod("b")
    try runtime.add("b", runtime.configuration(["bridge": "br0", "ipam": ["type": "none"]]))
    #expect(try node.sh("cat /proc/sys/net/ipv6/conf/br0/accept_ra") == "2\n")
  }
}
