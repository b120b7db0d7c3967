import JSON
import Linux
import Testing
import TestSupport

/// Nodes on several segments.
@Suite(.requiresRoot, .requires(.vxlan), .timeLimit(.minutes(5)))
struct VXLANTests {
  private static let vxlan: JSONValue = ["Type": "vxlan"]
  private static let direct: JSONValue = ["Type": "vxlan", "DirectRouting": true]

  @Test func podsOfAllPairsReachEachOther() throws {
    let cluster = try RoutedCluster(VXLANTests.direct)
    let agents = try cluster.agents()
    let pods = try cluster.addPods()
    let router = try PacketCounter(
      cluster.router, hook: "forward",
      [
        ("tunnel", "udp dport 8472"), ("fragments", "ip frag-off & 0x3fff != 0"), ("fragments6", "exthdr frag exists"),
        ("plain", "ip daddr 10.244.0.0/16"), ("plain6", "ip6 daddr fd00:10:244::/48"),
      ])
    let neighbour = try PacketCounter(
      cluster.nodes[0], hook: "output", [("tunnel", "ip daddr 192.0.2.12 udp dport 8472")])
    #expect(try cluster.unreachablePairs(pods) == [], "\(agents.map(\.output))")
    #expect(try router.packets("tunnel") >= 32)
    #expect(try ["plain", "plain6"].map(router.packets) == [0, 0])
    #expect(try neighbour.packets("tunnel") == 0)
    #expect(
      try cluster.links(0) == ["eth0", "eth0", "flannel.1", "flannel-v6.1", "flannel.1", "flannel-v6.1"])
    // Packets up to the pods' MTU arrive unfragmented on every path.
    for (node, size) in [(1, 1430), (2, 1430)] {
      for (address, headers) in zip(pods[node], [28, 48]) {
        let ping = try cluster.nodes[0].run(
          inPod: "pod", ["ping", "-nc", "1", "-W", "2", "-M", "do", "-s", "\(size - headers)", address])
        #expect(ping.status == 0, "\(ping)")
      }
    }
    #expect(try ["fragments", "fragments6"].map(router.packets) == [0, 0])
    #expect(try cluster.nodes[0].sh("cat /run/causeway/subnet.env").contains("FLANNEL_MTU=1430"))
    // The node itself reaches pods too, from the address of its device.
    for address in pods[2] { #expect(try cluster.nodes[0].ping(address)) }
    let status = try cluster.nodes[0].hostgw("status", "--node-name", "node-a").output
    #expect(status.contains("through the tunnel: no network of this node holds 198.51.100.13"), "\(status)")
  }

  @Test func devicesAndRoutesMatchFlannels() throws {
    let cluster = try RoutedCluster(VXLANTests.vxlan)
    let agents = try cluster.agents()
    defer { for agent in agents { agent.stop() } }
    let node = cluster.nodes[0]
    let routes = try node.sh("ip -4 route show proto 202 type unicast")
    #expect(routes.contains("10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"), "\(routes)")
    #expect(try node.addresses("flannel.1") == ["10.244.1.0/32"])
    #expect(try node.addresses("flannel-v6.1") == ["fd00:10:244:1::/128"])
    for (name, mtu, local) in [("flannel.1", 1450, "192.0.2.11"), ("flannel-v6.1", 1430, "2001:db8::11")] {
      let link = try #require(try node.ip(json: "link", "show", name).first)
      let data = try #require(link["linkinfo"]?.object?["info_data"]?.object)
      #expect(link["mtu"] == .integer(Int64(mtu)))
      #expect(data["id"] == 1 && data["port"] == 8472 && data["learning"] == false, "\(data)")
      #expect(data["local"]?.string ?? data["local6"]?.string == local, "\(data)")
    }
    let pods = try cluster.addPods()
    #expect(try cluster.unreachablePairs(pods) == [])
    // There is no forwarding entry for unknown destinations.
    #expect(try node.sh("bridge fdb show dev flannel.1").split(separator: "\n").count == 3)
  }

  @Test func aMovedNodeIsFollowed() throws {
    var cluster = try RoutedCluster(VXLANTests.direct)
    let agents = try cluster.agents()
    let pods = try cluster.addPods()
    #expect(try cluster.unreachablePairs(pods) == [])
    try cluster.move(3)
    try cluster.write(VXLANTests.direct)
    let isFollowed = try eventually(within: .seconds(30)) {
      try cluster.links(0) == ["eth0", "eth0", "flannel.1", "flannel-v6.1", "eth0", "eth0"]
        && cluster.links(3) == ["eth0", "eth0", "eth0", "eth0", "flannel.1", "flannel-v6.1"]
    }
    #expect(isFollowed, "\(agents.map(\.output))")
    #expect(try cluster.unreachablePairs(pods) == [])
    // Only node-c is still reached through the tunnel.
    #expect(try cluster.nodes[0].sh("bridge fdb show dev flannel.1").split(separator: "\n").count == 1)
    #expect(try cluster.nodes[0].sh("ip neigh show nud permanent dev flannel.1").split(separator: "\n").count == 1)
  }

  /// Adds and deletes routes to a neighbour through the router, while pods ping.
  @Test func pathsChangeWithoutALostPacket() throws {
    let cluster = try RoutedCluster(VXLANTests.direct)
    let agents = try cluster.agents()
    let pods = try cluster.addPods()
    let pings = try pods[1].map { try SteadyPing(cluster.nodes[0], from: "pod", $0) }
    for _ in 0..<3 {
      for (change, device) in [("add", "flannel"), ("del", "eth0")] {
        try cluster.nodes[0].sh(
          """
          ip route \(change) 192.0.2.12/32 via 192.0.2.254
          ip -6 route \(change) 2001:db8::12/128 via 2001:db8::254 dev eth0
          """)
        let isChanged = try eventually(within: .seconds(20)) {
          try cluster.links(0).prefix(2).allSatisfy { $0.hasPrefix(device) }
        }
        #expect(isChanged, "\(agents[0].output)")
      }
    }
    for ping in pings {
      let (sent, lost) = try ping.lost()
      #expect(sent > 10 && lost == 0, "\(lost) of \(sent)")
    }
  }

  @Test func routesStayWhileTheRoutersLinkIsDown() throws {
    let cluster = try RoutedCluster(VXLANTests.direct)
    let agents = try cluster.agents()
    let pods = try cluster.addPods()
    let routes = try cluster.nodes[0].podRoutes()
    try cluster.segments[1].setCarrier(false, of: cluster.router, link: "eth1")
    #expect(try !cluster.nodes[0].ping(from: "pod", pods[2][0], within: 2))
    #expect(try cluster.nodes[0].ping(from: "pod", pods[1][0]))
    #expect(try cluster.nodes[0].podRoutes() == routes)
    try cluster.segments[1].setCarrier(true, of: cluster.router, link: "eth1")
    #expect(try cluster.unreachablePairs(pods) == [], "\(agents.map(\.output))")
  }

  @Test(arguments: [
    ("ip link del flannel.1", "device made"), ("ip link del flannel-v6.1", "device made"),
    ("ip link set flannel.1 down", "device put right"), ("ip link set flannel.1 alias ''", "device put right"),
    ("ip link set flannel.1 address 02:00:00:00:00:99", "device put right"),
    ("echo 1 >/proc/sys/net/ipv4/conf/flannel.1/rp_filter; ip link set flannel.1 mtu 1300", "device put right"),
    ("ip address del 10.244.1.0/32 dev flannel.1", "device put right"),
    ("ip address add 198.18.9.9/32 dev flannel.1", "device put right"),
    (
      "ip address add 198.18.9.9/32 dev flannel.1; ip address del 10.244.1.0/32 dev flannel.1",
      "device put right"
    ),
    ("ip neigh flush dev flannel.1 nud permanent", "neighbour set"),
    ("ip neigh flush dev flannel-v6.1 nud permanent", "neighbour set"),
    ("bridge fdb del $(bridge fdb show dev flannel.1 | cut -d' ' -f1 | head -1) dev flannel.1", "forwarding entry set"),
    (
      "bridge fdb replace $(bridge fdb show dev flannel.1 | cut -d' ' -f1-3 | head -1) dev flannel.1 port 9999 vni 9",
      "forwarding entry set"
    ),
    ("bridge fdb append 00:00:00:00:00:00 dev flannel.1 dst 192.0.2.99", nil),
    ("bridge fdb append 00:00:00:00:00:00 dev flannel.1 dst 192.0.2.99 port 9999 vni 9 via eth0", nil),
    ("ip route flush proto 202 || true", "route added"),
    ("ip route change 10.244.3.0/24 via 10.244.4.0 dev flannel.1 onlink proto 202", "route replaced"),
  ])
  func damagedDevicesAndRoutesAreRepaired(_ damage: String, _ message: String?) throws {
    let cluster = try RoutedCluster(VXLANTests.vxlan)
    let node = cluster.nodes[0]
    let agent = try cluster.agent(0)
    func view() throws -> String {
      // A device that is created again has another index.
      try node.sh(
        """
        ip -br link show type vxlan | sed 's/@.*//' | sort; ip -d link show flannel.1 | grep -o 'mtu [0-9]*'
        cat /sys/class/net/flannel.1/ifalias /proc/sys/net/ipv4/conf/flannel.1/rp_filter
        ip -br address show flannel.1 | grep -o '10[^ ]*\\|198[^ ]*'
        for d in flannel.1 flannel-v6.1; do
          ip neigh show nud permanent dev $d | sort; bridge fdb show dev $d | sort
        done
        ip -4 route show proto 202; ip -6 route show proto 202
        """)
    }
    #expect(try eventually(within: .seconds(20)) { try node.podRoutes().count == 6 }, "\(agent.output)")
    #expect(eventually { agent.output.contains("lease written") }, "\(agent.output)")
    let before = try view()
    #expect(before.contains("causeway-hostgw\n2\n"), "\(before)")
    let outputBefore = agent.output.count
    try node.sh(damage)
    let isRepaired = eventually(within: .seconds(20)) { (try? view()) == before }
    let now = try? view()
    #expect(isRepaired, "\(before)\n\(now ?? "")\n\(agent.output)")
    if let message {
      #expect(eventually { agent.output.dropFirst(outputBefore).contains(message) }, "\(agent.output)")
    }
  }

  /// Changes the backend. Nothing of the former backend remains.
  @Test func aChangedBackendLeavesNothingOfTheFormer() throws {
    let cluster = try RoutedCluster(["Type": "host-gw"])
    let node = cluster.nodes[0]
    let agent = try cluster.agent(0)
    func expect(_ devices: [String], routes: Int, hops: Int, mtu: Int) throws {
      func view() throws -> [String] {
        let lease = try Files.read(node.path("/run/causeway/subnet.env"), limit: 65536) ?? []
        return [
          "\(try node.ip(json: "link", "show", "type", "vxlan").compactMap { $0["ifname"]?.string }.sorted())",
          "\(try node.podRoutes().count)", "\(try node.ip(json: "nexthop", "show").count)",
          "\(String(decoding: lease, as: UTF8.self).contains("FLANNEL_MTU=\(mtu)\n"))",
        ]
      }
      let wanted = ["\(devices)", "\(routes)", "\(hops)", "true"]
      let isChanged = try eventually(within: .seconds(20)) { try view() == wanted }
      let now = try view()
      #expect(isChanged, "\(now), not \(wanted)\n\(agent.output)")
      if devices.isEmpty { #expect(try node.sh("ip neigh show nud permanent") == "") }
    }
    try expect([], routes: 2, hops: 2, mtu: 1500)
    let reason = try node.hostgw("status", "--node-name", "node-a").output
    #expect(reason.contains("off-link") && reason.contains("vxlan with DirectRouting"), "\(reason)")
    try cluster.write(VXLANTests.direct)
    try expect(["flannel-v6.1", "flannel.1"], routes: 6, hops: 2, mtu: 1430)
    try cluster.write(["Type": "vxlan", "VNI": 2, "MTU": 1400])
    try expect(["flannel-v6.2", "flannel.2"], routes: 6, hops: 0, mtu: 1330)
    try cluster.write(["Type": "alloc"])
    try expect([], routes: 0, hops: 0, mtu: 1500)
    #expect(try node.blackholes() == [])
    try cluster.write(["Type": "host-gw"])
    try expect([], routes: 2, hops: 2, mtu: 1500)
    try cluster.write(["Type": "pigeons"])
    #expect(
      eventually { agent.output.contains(#""host-gw", "vxlan" or "alloc""#) }, "\(agent.output)")
    try expect([], routes: 2, hops: 2, mtu: 1500)
  }

  @Test func aRestartLosesNoPacket() throws {
    let cluster = try RoutedCluster(VXLANTests.direct)
    let agents = try cluster.agents()
    let pods = try cluster.addPods()
    let node = cluster.nodes[0]
    let pings = try [pods[1][0], pods[2][0], pods[2][1]].map { try SteadyPing(node, from: "pod", $0) }
    let before = try node.sh("ip link show flannel.1; bridge fdb show dev flannel.1; ip neigh show dev flannel.1")
    agents[0].signal(15)
    #expect(try agents[0].exitStatus(within: .seconds(10)) == 0)
    let next = try cluster.agent(0)
    #expect(try eventually(within: .seconds(20)) { try cluster.isReady(0) }, "\(next.output)")
    #expect(try cluster.links(0).count == 6)
    #expect(
      try node.sh("ip link show flannel.1; bridge fdb show dev flannel.1; ip neigh show dev flannel.1") == before)
    #expect(!next.output.contains("device"), "\(next.output)")
    for ping in pings {
      let (sent, lost) = try ping.lost()
      #expect(sent > 10 && lost == 0, "\(lost) of \(sent)")
    }
  }

  @Test func cleanRemovesTheDevices() throws {
    let cluster = try RoutedCluster(VXLANTests.direct)
    let node = cluster.nodes[0]
    try node.sh("ip link add other type vxlan id 9 dstport 9999")
    let sync = try node.hostgw("sync", "--node-name", "node-a").succeeded()
    #expect(sync.output.contains("node-c: 10.244.3.0/24 via 198.51.100.13 dev flannel.1 installed"), "\(sync)")
    let clean = try node.hostgw("clean").succeeded()
    #expect(clean.output.contains("device removed: flannel.1"), "\(clean)")
    #expect(try node.ip(json: "link", "show", "type", "vxlan").compactMap { $0["ifname"]?.string } == ["other"])
    #expect(try node.podRoutes() == [])
  }

  /// Checks that flannel's device is reported, and taken over if the option asks for it.
  @Test func flannelsDeviceIsTakenOverWithTheOptionOnly() throws {
    let cluster = try RoutedCluster(["Type": "vxlan"])
    let node = cluster.nodes[0]
    try node.sh(
      """
      ip link add flannel.1 type vxlan id 1 local 192.0.2.11 dev eth0 dstport 8472 nolearning
      ip link set flannel.1 up && ip address add 10.244.1.0/32 dev flannel.1
      ip neigh add 10.244.3.0 lladdr 4e:6b:09:df:32:a1 dev flannel.1 nud permanent
      bridge fdb append 4e:6b:09:df:32:a1 dev flannel.1 dst 198.51.100.13
      ip route add 10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink
      """)
    let index = try node.sh("cat /sys/class/net/flannel.1/ifindex")
    let refused = try node.hostgw("sync", "--node-name", "node-a")
    #expect(refused.status == 1 && refused.output.contains("--take-over-flannel"), "\(refused)")
    #expect(try node.sh("ip route show proto boot").contains("10.244.3.0/24"))
    let taken = try node.hostgw("sync", "--node-name", "node-a", "--take-over-flannel").succeeded()
    #expect(try node.sh("cat /sys/class/net/flannel.1/ifindex") == index, "\(taken)")
    #expect(try node.podRoutes().count == 6)
    #expect(try !node.sh("bridge fdb show dev flannel.1; ip neigh show dev flannel.1").contains("4e:6b:09:df:32:a1"))
  }

  @Test func podsMayUseTheMTUOfTheBestPath() throws {
    let cluster = try RoutedCluster(VXLANTests.direct)
    let agents = try cluster.agents("--mtu-per-route")
    let pods = try cluster.addPods()
    let node = cluster.nodes[0]
    #expect(try node.sh("cat /run/causeway/subnet.env").contains("FLANNEL_MTU=1500"))
    #expect(try node.sh("ip route show 10.244.3.0/24").contains("mtu 1450"), "\(agents[0].output)")
    #expect(try node.sh("ip -6 route show fd00:10:244:3::/64").contains("mtu 1430"))
    #expect(try !node.sh("ip route show 10.244.2.0/24").contains("mtu"))
    func ping(_ address: String, _ size: Int) throws -> CommandResult {
      try node.run(inPod: "pod", ["ping", "-nc", "2", "-W", "1", "-M", "do", "-s", "\(size)", address])
    }
    #expect(try ping(pods[1][0], 1472).status == 0)
    // The kernel reports the tunnel's MTU to the pod, which then uses it.
    let large = try ping(pods[2][0], 1472)
    #expect(
      (large.output + large.errors).contains("mtu=1450") || (large.output + large.errors).contains("mtu = 1450"),
      "\(large)")
    #expect(try ping(pods[2][0], 1422).status == 0)
    #expect(try ping(pods[2][1], 1382).status == 0)
  }
}
