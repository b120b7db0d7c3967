import JSON
import Testing
import TestSupport

/// The blackhole route for a node's own subnets, which drops packets to addresses without a pod.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct BlackholeTests {
  /// Sends packets to an unused address. Without the blackhole route they loop between node and router.
  @Test func packetsToUnusedAddressesDoNotLoop() throws {
    let cluster = try Cluster(2)
    let (router, node) = (cluster.nodes[0], cluster.nodes[1])
    let outside = try TestNode()
    try cluster.segment.connect(outside, addresses: ["192.0.2.99/24", "2001:db8::99/64"])
    for host in cluster.nodes {
      // ping would read a redirect instead of the error.
      try host.sh(
        """
        cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding
        echo 0 | tee ipv4/conf/all/send_redirects ipv4/conf/eth0/send_redirects
        """)
    }
    try router.hostgw("sync", "--blackhole-route=false").succeeded()
    try node.hostgw("sync", "--blackhole-route=false").succeeded()
    try node.sh("ip route add default via 192.0.2.11; ip -6 route add default via 2001:db8::11")
    try outside.sh("ip route add 10.244.2.0/24 via 192.0.2.12; ip -6 route add fd00:10:244:2::/64 via 2001:db8::12")
    let ping = { (address: String, seconds: Int) in
      try outside.run(["ping", "-nc", "1", "-W", "\(seconds)", address]).output
    }
    for address in ["10.244.2.77", "fd00:10:244:2::77"] {
      let output = try ping(address, 10)
      #expect(output.contains("exceeded"), "\(output)")
    }
    try node.hostgw("sync").succeeded()
    for address in ["10.244.2.77", "fd00:10:244:2::77"] {
      let output = try ping(address, 1)
      #expect(!output.contains("exceeded"), "\(output)")
    }
    // A pod's address works before and after the blackhole route is created.
    try node.addPod("a")
    let runtime = Runtime(node: node)
    let hosts = try runtime.add("a", runtime.configuration(["ipam": .null])).hosts
    try router.addPod("a")
    try Runtime(node: router).add("a", runtime.configuration(["ipam": .null]))
    for host in hosts {
      #expect(try outside.ping(host))
      #expect(try router.ping(from: "a", host))
    }
  }

  @Test func theBlackholeRouteIsRepairedAndFollowsTheSubnet() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    let own = ["10.244.1.0/24", "fd00:10:244:1::/64"]
    let agent = try node.start([Binaries.hostgw, "run"])
    defer { agent.stop() }
    #expect(try eventually { try node.blackholes() == own }, "\(agent.output)")
    #expect(try node.sh("ip route show type blackhole").contains("metric 4294967295"))
    try node.sh("ip route del blackhole 10.244.1.0/24 metric 4294967295 proto 202; ip -6 route flush proto 202 || true")
    #expect(try eventually { try node.blackholes() == own }, "\(agent.output)")
    var file = Cluster.nodesFile([1])
    if case .object(var object) = file {
      object["nodes"] = [
        ["name": "node-a", "publicIP": "192.0.2.11", "subnet": "10.244.7.0/24"], Cluster.entry(1),
      ]
      file = .object(object)
    }
    try Cluster.write(file, to: node)
    #expect(try eventually { try node.blackholes() == ["10.244.7.0/24"] }, "\(agent.output)")
  }

  @Test func aForeignBlackholeRouteIsUsed() throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("ip route add blackhole 10.244.1.0/24 metric 4294967295 proto static")
    try node.hostgw("sync").succeeded()
    #expect(try node.blackholes() == ["fd00:10:244:1::/64"])
    try node.hostgw("clean").succeeded()
    #expect(try node.lines("ip route show type blackhole").count == 1)
  }
}
