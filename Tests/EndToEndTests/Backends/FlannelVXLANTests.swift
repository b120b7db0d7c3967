import JSON
import Linux
import Testing
import TestSupport

/// Flannel's nodes with its vxlan backend and ours in one cluster. What flannel would do on its node is done by hand, in
/// its own words.
@Suite(.requiresRoot, .requires(.vxlan), .timeLimit(.minutes(5)))
struct FlannelVXLANTests {
  private static let mac = "4e:6b:09:df:32:a1"

  /// A node of flannel's with 10.244.2.0/24 and a pod, 10.244.2.5, behind its device.
  private func makeFlannels(_ node: TestNode) throws {
    try node.sh(
      """
      ip link add flannel.1 address \(FlannelVXLANTests.mac) mtu 1450 type vxlan id 1 local 192.0.2.12 dev eth0 \
        dstport 8472 nolearning noudpcsum
      ip address add 10.244.2.0/32 dev flannel.1 && ip link set flannel.1 up
      ip link add cni0 type bridge && ip address add 10.244.2.5/24 dev cni0 && ip link set cni0 up
      """)
  }

  /// What flannel does with the data of another node's backend.
  private func follow(_ node: TestNode, _ subnet: String, _ publicIP: String, _ data: JSONValue?) throws {
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

  private func expectBothWays(_ ours: TestNode, _ flannels: TestNode, _ subnet: String, _ agent: RunningProgram) throws
  {
    let base = String(subnet.prefix { $0 != "/" })
    for (node, address, source) in [(ours, "10.244.2.5", base), (flannels, base, "10.244.2.5")] {
      let ping = try node.run(["ping", "-nc", "1", "-W", "5", "-I", source, "-M", "do", "-s", "1422", address])
      #expect(ping.status == 0, "\(ping)\n\(agent.output)")
    }
    #expect(try ours.sh("bridge fdb show dev flannel.1").contains("\(FlannelVXLANTests.mac) dst 192.0.2.12"))
  }

  @Test func inEtcd() throws {
    let cluster = try EtcdCluster(
      2, config: #"{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}"#, hasIPv6: false)
    try makeFlannels(cluster.nodes[1])
    try cluster.etcd.putRecord(
      "10.244.2.0-24",
      #"{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"vxlan","#
        + #""BackendData":{"VNI":1,"VtepMAC":"\#(FlannelVXLANTests.mac)"}}"#)
    // One of another network, and one that has not been switched over yet.
    try cluster.etcd.putRecord(
      "10.244.3.0-24",
      #"{"PublicIP":"192.0.2.13","BackendType":"vxlan","BackendData":{"VNI":9,"VtepMAC":"4e:6b:09:df:32:a3"}}"#)
    try cluster.etcd.putRecord("10.244.4.0-24", of: "192.0.2.14")
    let (agent, subnet) = try cluster.agentWithLease(0)
    let own = try #require(try cluster.etcd.leases().first { $0.key == keyName(subnet) })
    let value = try #require(try JSONValue(parsing: Array(own.value.utf8)).object)
    #expect(value["BackendType"] == "vxlan" && value["PublicIP"] == "192.0.2.11" && value["BackendV6Data"] == nil)
    try follow(cluster.nodes[1], subnet, "192.0.2.11", value["BackendData"])
    try expectBothWays(cluster.nodes[0], cluster.nodes[1], subnet, agent)
    let peers = try cluster.status(0)["peers"]?.array?.compactMap(\.object) ?? []
    #expect(peers.map { $0["state"]?.string } == ["installed", "skipped", "skipped"], "\(peers)")
    #expect(peers.last?["reason"]?.string == "its backend is host-gw, only vxlan can be reached")

    // Flannel's node has got another device, and tells it.
    // With a device's address the kernel forgets all its neighbours (net/core/neighbour.c, `neigh_changeaddr`).
    try cluster.nodes[1].sh("ip link set flannel.1 address 4e:6b:09:df:32:a2")
    try follow(cluster.nodes[1], subnet, "192.0.2.11", value["BackendData"])
    try cluster.etcd.putRecord(
      "10.244.2.0-24",
      #"{"PublicIP":"192.0.2.12","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"4e:6b:09:df:32:a2"}}"#)
    #expect(
      try eventually(within: .seconds(20)) {
        try cluster.nodes[0].ping("10.244.2.5", within: 1)
      }, "\(agent.output)")
    #expect(
      try eventually { try !cluster.nodes[0].sh("bridge fdb show dev flannel.1").contains(FlannelVXLANTests.mac) })

    // The cluster's backend is another: the record and the kernel follow.
    try cluster.etcd.putConfig()
    #expect(
      try eventually(within: .seconds(20)) {
        try cluster.etcd.leases().contains { $0.key == own.key && $0.value.contains(#""BackendType":"host-gw"}"#) }
          && cluster.nodes[0].podRoutes() == ["10.244.4.0/24 via 192.0.2.14"]
          && cluster.nodes[0].ip(json: "link", "show", "type", "vxlan").isEmpty
      }, "\(agent.output)")
  }

  /// An agent that starts while etcd is down knows the tunnels by what is in the kernel.
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
    // It repairs what it knows.
    try node.sh("bridge fdb del $(bridge fdb show dev flannel.1 | cut -d' ' -f1) dev flannel.1")
    let came = try eventually(within: .seconds(20)) { try view() == before }
    let now = try view()
    #expect(came, "\(now)\n\(before)\n\(next.output)")
    #expect(
      try node.ping(String(subnet1.prefix { $0 != "/" })),
      "\(second.output) \(subnet0)")
  }

  @Test func inKubernetes() throws {
    let cluster = try KubeCluster(2, config: ["Network": "10.244.0.0/16", "Backend": ["Type": "vxlan"]])
    try makeFlannels(cluster.nodes[1])
    let annotations: JSONObject = [
      "flannel.alpha.coreos.com/kube-subnet-manager": "true", "flannel.alpha.coreos.com/public-ip": "192.0.2.12",
      "flannel.alpha.coreos.com/backend-type": "vxlan",
      "flannel.alpha.coreos.com/backend-data": .string(#"{"VNI":1,"VtepMAC":"\#(FlannelVXLANTests.mac)"}"#),
    ]
    try cluster.server.merge("node-b", ["metadata": ["annotations": .object(annotations)]])
    let agent = try cluster.agent(0)
    try cluster.nodes[0].expectRoutes(["10.244.2.0/24 via 10.244.2.0"], agent)
    let written = try eventually(within: .seconds(20)) {
      try cluster.server.annotations("node-a")["backend-type"] == "vxlan"
    }
    #expect(written, "\(agent.output)")
    let told = try cluster.server.annotations("node-a")
    #expect(told["public-ip"] == "192.0.2.11" && told["kube-subnet-manager"] == "true", "\(told)")
    let data = try JSONValue(parsing: Array((told["backend-data"] ?? "").utf8))
    try follow(cluster.nodes[1], "10.244.1.0/24", "192.0.2.11", data)
    try expectBothWays(cluster.nodes[0], cluster.nodes[1], "10.244.1.0/24", agent)
  }
}
