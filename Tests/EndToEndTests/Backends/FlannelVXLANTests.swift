import JSON
import Linux
import Testing
import TestSupport

/// Nodes of flannel's vxlan backend and of causeway's in one cluster. Flannel's part is done with the commands that it
/// corresponds to.
@Suite(.requiresRoot, .requires(.vxlan), .timeLimit(.minutes(5)))
struct FlannelVXLANTests {
  private static let mac = "4e:6b:09:df:32:a1"

  /// Makes a node of flannel's with 10.244.2.0/24 and a pod address, 10.244.2.5, behind its device.
  private func makeFlannelNode(_ node: TestNode) throws {
    try node.sh(
      """
      ip link add flannel.1 address \(FlannelVXLANTests.mac) mtu 1450 type vxlan id 1 local 192.0.2.12 dev eth0 \
        dstport 8472 nolearning noudpcsum
      ip address add 10.244.2.0/32 dev flannel.1 && ip link set flannel.1 up
      ip link add cni0 type bridge && ip address add 10.244.2.5/24 dev cni0 && ip link set cni0 up
      """)
  }

  /// Installs flannel's neighbour, forwarding entry and route for another node's backend data.
  private func follow(_ node: TestNode, _ subnet: String, publicIP: String, data: JSONValue?) throws {
    let object = try #require(data?.object)
    #expect(object["VNI"] == 1)
    let mac = try #require(object["VtepMAC"]?.string)
    let base = subnet.prefix { $0 != "/" }
    try node.sh(
      """
      ip neigh replace \(base) lladdr \(mac) dev flannel.1 nud permanent
      bridge fdb replace \(mac) dev flannel.1 dst \(publicIP) self permanent
      ip route replace \(subnet) via \(base) dev flannel.1 onlink
      """)
  }

  private func expectBothWays(_ ours: TestNode, _ flannels: TestNode, subnet: String, agent: RunningProgram) throws {
    let base = String(subnet.prefix { $0 != "/" })
    for (node, address, source) in [(ours, "10.244.2.5", base), (flannels, base, "10.244.2.5")] {
      let ping = try node.run(["ping", "-nc", "1", "-W", "5", "-I", source, "-M", "do", "-s", "1422", address])
      #expect(ping.status == 0, "\(ping)\n\(agent.output)")
    }
    #expect(try ours.sh("bridge fdb show dev flannel.1").contains("\(FlannelVXLANTests.mac) dst 192.0.2.12"))
  }

  @Test func nodesInEtcdReachEachOther() throws {
    let cluster = try EtcdCluster(
      2, config: #"{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}"#, hasIPv6: false)
    try makeFlannelNode(cluster.nodes[1])
    try cluster.etcd.putRecord(
      "10.244.2.0-24",
      #"{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"vxlan","#
        + #""BackendData":{"VNI":1,"VtepMAC":"\#(FlannelVXLANTests.mac)"}}"#)
    // One record with another VNI, and one with another backend.
    try cluster.etcd.putRecord(
      "10.244.3.0-24",
      #"{"PublicIP":"192.0.2.13","BackendType":"vxlan","BackendData":{"VNI":9,"VtepMAC":"4e:6b:09:df:32:a3"}}"#)
    try cluster.etcd.putRecord("10.244.4.0-24", of: "192.0.2.14")
    let (agent, subnet) = try cluster.agentWithLease(0)
    let own = try #require(try cluster.etcd.leases().first { $0.key == keyName(subnet) })
    let value = try #require(try JSONValue(parsing: Array(own.value.utf8)).object)
    #expect(value["BackendType"] == "vxlan" && value["PublicIP"] == "192.0.2.11" && value["BackendV6Data"] == nil)
    try follow(cluster.nodes[1], subnet, publicIP: "192.0.2.11", data: value["BackendData"])
    try expectBothWays(cluster.nodes[0], cluster.nodes[1], subnet: subnet, agent: agent)
    let peers = try cluster.status(0)["peers"]?.array?.compactMap(\.object) ?? []
    #expect(peers.map { $0["state"]?.string } == ["installed", "skipped", "skipped"], "\(peers)")
    #expect(peers.last?["reason"]?.string == "its backend is host-gw, only vxlan can be reached")

    // Flannel's node gets a device with another MAC and publishes it. The kernel removes a device's neighbours when its
    // address changes (net/core/neighbour.c, `neigh_changeaddr`).
    try cluster.nodes[1].sh("ip link set flannel.1 address 4e:6b:09:df:32:a2")
    try follow(cluster.nodes[1], subnet, publicIP: "192.0.2.11", data: value["BackendData"])
    try cluster.etcd.putRecord(
      "10.244.2.0-24",
      #"{"PublicIP":"192.0.2.12","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"4e:6b:09:df:32:a2"}}"#)
    #expect(
      try eventually(within: .seconds(20)) {
        try cluster.nodes[0].ping("10.244.2.5", within: 1)
      }, "\(agent.output)")
    #expect(
      try eventually { try !cluster.nodes[0].sh("bridge fdb show dev flannel.1").contains(FlannelVXLANTests.mac) })

    // The cluster's backend changes; the record and the kernel follow.
    try cluster.etcd.putConfig()
    #expect(
      try eventually(within: .seconds(20)) {
        try cluster.etcd.leases().contains { $0.key == own.key && $0.value.contains(#""BackendType":"host-gw"}"#) }
          && cluster.nodes[0].podRoutes() == ["10.244.4.0/24 via 192.0.2.14"]
          && cluster.nodes[0].ip(json: "link", "show", "type", "vxlan").isEmpty
      }, "\(agent.output)")
  }

  /// Starts an agent while etcd is down. It takes the tunnels from the kernel.
  @Test func withoutEtcdTheTunnelsStay() throws {
    let cluster = try EtcdCluster(
      2, config: #"{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}"#, hasIPv6: false)
    let (first, subnet0) = try cluster.agentWithLease(0)
    let (second, subnet1) = try cluster.agentWithLease(1)
    let node = cluster.nodes[0]
    try node.expectRoutes(["\(subnet1) via \(subnet1.prefix { $0 != "/" })"], first)
    func view() throws -> String {
      try node.sh(
        """
        ip link show flannel.1; bridge fdb show dev flannel.1; ip neigh show nud permanent
        ip route show proto 202 type unicast; cat /run/causeway/subnet.env
        """)
    }
    let before = try view()
    first.stop()
    cluster.etcd.stop(0)
    let next = try cluster.agent(0)
    #expect(eventually(within: .seconds(20)) { next.output.contains("can't be read") }, "\(next.output)")
    // The agent repairs what it found.
    try node.sh("bridge fdb del $(bridge fdb show dev flannel.1 | cut -d' ' -f1) dev flannel.1")
    let isRepaired = try eventually(within: .seconds(20)) { try view() == before }
    let now = try view()
    #expect(isRepaired, "\(now)\n\(before)\n\(next.output)")
    #expect(
      try node.ping(String(subnet1.prefix { $0 != "/" })),
      "\(second.output) \(subnet0)")
  }

  @Test func nodesInKubernetesReachEachOther() throws {
    let cluster = try KubeCluster(2, config: ["Network": "10.244.0.0/16", "Backend": ["Type": "vxlan"]])
    try makeFlannelNode(cluster.nodes[1])
    let annotations: JSONObject = [
      "flannel.alpha.coreos.com/kube-subnet-manager": "true", "flannel.alpha.coreos.com/public-ip": "192.0.2.12",
      "flannel.alpha.coreos.com/backend-type": "vxlan",
      "flannel.alpha.coreos.com/backend-data": .string(#"{"VNI":1,"VtepMAC":"\#(FlannelVXLANTests.mac)"}"#),
    ]
    try cluster.server.merge("node-b", ["metadata": ["annotations": .object(annotations)]])
    let agent = try cluster.agent(0)
    try cluster.nodes[0].expectRoutes(["10.244.2.0/24 via 10.244.2.0"], agent)
    let isWritten = try eventually(within: .seconds(20)) {
      try cluster.server.annotations("node-a")["backend-type"] == "vxlan"
    }
    #expect(isWritten, "\(agent.output)")
    let written = try cluster.server.annotations("node-a")
    #expect(written["public-ip"] == "192.0.2.11" && written["kube-subnet-manager"] == "true", "\(written)")
    let data = try JSONValue(parsing: Array((written["backend-data"] ?? "").utf8))
    try follow(cluster.nodes[1], "10.244.1.0/24", publicIP: "192.0.2.11", data: data)
    try expectBothWays(cluster.nodes[0], cluster.nodes[1], subnet: "10.244.1.0/24", agent: agent)
  }
}
