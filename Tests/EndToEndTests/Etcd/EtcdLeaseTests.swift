import JSON
import Linux
import Testing
import TestSupport

/// The assignment of subnets when addresses, ranges and reservations change.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct EtcdLeaseTests {
  private static let dual = #"{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/48""#

  @Test func nodesThatSwapTheirAddressesKeepTheirSubnets() throws {
    let cluster = try EtcdCluster(3, hasIPv6: false)
    let (first, subnet0) = try cluster.agentWithLease(0)
    let (second, subnet1) = try cluster.agentWithLease(1)
    let (third, subnet2) = try cluster.agentWithLease(2)
    try cluster.nodes[2].expectRoutes(["\(subnet0) via 192.0.2.11", "\(subnet1) via 192.0.2.12"], third)
    let before = try cluster.etcd.leases()
    // The first node gets the address of the second, which then has none.
    try cluster.nodes[1].sh("ip address del 192.0.2.12/24 dev eth0")
    try cluster.nodes[0].sh("ip address add 192.0.2.12/24 dev eth0 && ip address del 192.0.2.11/24 dev eth0")
    try cluster.nodes[0].sh("ip address replace 192.0.2.12/24 dev eth0")
    #expect(
      try eventually {
        try cluster.etcd.leases().contains {
          $0.key == keyName(subnet0) && $0.value == EtcdServer.value("192.0.2.12")
        }
      }, "\(first.output)")
    try cluster.nodes[1].sh("ip address add 192.0.2.11/24 dev eth0")
    try cluster.nodes[2].expectRoutes(["\(subnet0) via 192.0.2.12", "\(subnet1) via 192.0.2.11"], third)
    try cluster.nodes[0].expectRoutes(["\(subnet1) via 192.0.2.11", "\(subnet2) via 192.0.2.13"], first)
    try cluster.nodes[1].expectRoutes(["\(subnet0) via 192.0.2.12", "\(subnet2) via 192.0.2.13"], second)
    let after = try cluster.etcd.leases()
    #expect(after.map(\.key) == before.map(\.key) && after.map(\.leaseID) == before.map(\.leaseID))

    // Now the addresses are swapped while neither agent runs, as after a restart of both machines.
    for agent in [first, second] { agent.stop() }
    try cluster.nodes[0].sh("ip address del 192.0.2.12/24 dev eth0 && ip address add 192.0.2.11/24 dev eth0")
    try cluster.nodes[1].sh("ip address del 192.0.2.11/24 dev eth0 && ip address add 192.0.2.12/24 dev eth0")
    let again = try cluster.agent(0)
    #expect(
      try eventually {
        try cluster.etcd.leases().contains {
          $0.key == keyName(subnet0) && $0.value == EtcdServer.value("192.0.2.11")
        }
      }, "\(again.output)")
    let other = try cluster.agent(1)
    try cluster.nodes[2].expectRoutes(["\(subnet0) via 192.0.2.11", "\(subnet1) via 192.0.2.12"], third)
    #expect(try cluster.etcd.leases().map(\.key) == before.map(\.key), "\(other.output)")
  }

  @Test func aReservationMovedToAnotherNodeIsGivenUp() throws {
    let cluster = try EtcdCluster(2, hasIPv6: false)
    try cluster.etcd.putRecord("10.244.77.0-24", of: "192.0.2.11")
    let (first, subnet) = try cluster.agentWithLease(0)
    #expect(subnet == "10.244.77.0/24")
    try cluster.etcd.putRecord("10.244.77.0-24", of: "192.0.2.12")
    #expect(try eventually { try cluster.nodes[0].subnetOfLease() != subnet }, "\(first.output)")
    #expect(
      try cluster.etcd.leases().contains { $0.key == "10.244.77.0-24" && $0.value == EtcdServer.value("192.0.2.12") })
    let (second, reserved) = try cluster.agentWithLease(1)
    #expect(reserved == subnet, "\(second.output)")
    try cluster.nodes[0].expectRoutes(["\(subnet) via 192.0.2.12"], first)
  }

  @Test func exhaustedIPv6DoesNotAffectIPv4() throws {
    let range = #", "IPv6SubnetMin": "fd00:10:244:1::", "IPv6SubnetMax": "fd00:10:244:1::"}"#
    let cluster = try EtcdCluster(2, config: EtcdLeaseTests.dual + range)
    let (first, subnet0) = try cluster.agentWithLease(0)
    #expect(try cluster.etcd.leases().map(\.key) == ["\(keyName(subnet0))&fd00:10:244:1::-64"])
    let (second, subnet1) = try cluster.agentWithLease(1)
    try cluster.nodes[0].expectRoutes(["\(subnet1) via 192.0.2.12"], first)
    let isReported = try eventually {
      try cluster.status(1)["warnings"]?.array?.contains { $0.string?.contains("fd00:10:244:1::/64") ?? false } ?? false
    }
    #expect(try isReported && cluster.leaseState(1) == "held", "\(second.output)")
    // The node gets an IPv6 subnet as soon as one is free, and keeps its IPv4 subnet.
    first.stop()
    try cluster.etcd.deleteRecord("\(keyName(subnet0))&fd00:10:244:1::-64")
    #expect(
      try eventually { try cluster.etcd.leases().map(\.key) == ["\(keyName(subnet1))&fd00:10:244:1::-64"] },
      "\(second.output)")
    #expect(try cluster.nodes[1].subnetOfLease() == subnet1)
  }

  @Test func podsKeepTheirSubnetWhenTheIPv6RangeChanges() throws {
    let cluster = try EtcdCluster(2, config: EtcdServer.dualConfig)
    let (agent, subnet) = try cluster.agentWithLease(0)
    let key = try #require(try cluster.etcd.leases().first?.key)
    let old = String(key.split(separator: "&")[1].replacing("-64", with: "/64"))
    let (peer, _) = try cluster.agentWithLease(1)
    // A pod of a network with another data directory.
    let record = """
      {"network": "other", "containerID": "c", "ifname": "eth0", "netns": "/x", "device": 1, "inode": 1, "hostLink": "v",
       "mac": "", "addresses": [], "dataDir": "/var/lib/elsewhere", "ipMasq": false, "macspoofchk": false}
      """
    let pod = old.replacing("::/64", with: "::9")
    try cluster.nodes[0].sh(
      """
      mkdir -p /run/causeway/attachments /var/lib/elsewhere/other
      echo x >/var/lib/elsewhere/other/\(pod)
      cat >/run/causeway/attachments/other:c:eth0 <<'X'
      \(record)
      X
      """)
    try cluster.etcd.putConfig(
      #"{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:200::/40", "IPv6SubnetMin": "fd00:10:201::", "IPv6SubnetMax": "fd00:10:202::"}"#
    )
    #expect(
      try eventually {
        try cluster.etcd.leases().count { $0.key.hasPrefix(keyName(subnet) + "&") } == 2
      }, "\(agent.output)")
    var address = "2001:db8::11"
    func isThere(_ subnet: String) throws -> Bool {
      try cluster.nodes[1].podRoutes().contains("\(subnet) via \(address)")
    }
    let new = try #require(
      try cluster.etcd.leases().map(\.key).first { $0.hasPrefix(keyName(subnet) + "&fd00:10:20") && $0 != key })
    let newSubnet = String(new.split(separator: "&")[1].replacing("-64", with: "/64"))
    #expect(try eventually(within: .seconds(20)) { try isThere(old) && isThere(newSubnet) }, "\(peer.output)")
    #expect(
      try eventually {
        try cluster.nodes[0].sh("cat /run/causeway/subnet.env").contains(newSubnet.replacing("/64", with: "1/64"))
      }, "\(agent.output)")
    #expect(try cluster.nodes[0].subnetOfLease() == subnet)
    // Both subnets follow the node to another address.
    address = "2001:db8::51"
    try cluster.nodes[0].sh("ip addr add \(address)/64 dev eth0 nodad && ip addr del 2001:db8::11/64 dev eth0")
    #expect(try eventually(within: .seconds(30)) { try isThere(old) && isThere(newSubnet) }, "\(agent.output)")
    #expect(try !cluster.nodes[0].podRoutes().contains { $0.hasPrefix(old) }, "\(agent.output)")
    // When the pod is removed, so is the old subnet.
    try cluster.nodes[0].sh("rm /var/lib/elsewhere/other/\(pod) && ip link add wake type bridge")
    #expect(
      try eventually(within: .seconds(50)) { try !cluster.etcd.leases().contains { $0.key == key } },
      "\(agent.output)")
    #expect(try eventually(within: .seconds(20)) { try !isThere(old) && isThere(newSubnet) }, "\(peer.output)")
    #expect(try cluster.nodes[1].podRoutes().contains("\(subnet) via 192.0.2.11"))
  }

  @Test func anIPv6AddressMissingAtTheStartKeepsItsRecord() throws {
    let cluster = try EtcdCluster(2, config: EtcdServer.dualConfig)
    let (first, _) = try cluster.agentWithLease(0)
    let (peer, _) = try cluster.agentWithLease(1)
    #expect(try eventually { try cluster.nodes[0].podRoutes().count == 2 }, "\(first.output)")
    let before = try cluster.etcd.leases()
    let routes = try cluster.nodes[0].podRoutes()
    #expect(try eventually { try cluster.nodes[1].podRoutes().count == 2 }, "\(peer.output)")
    first.stop()
    try cluster.nodes[0].sh("ip -6 address flush dev eth0 scope global")
    let again = try cluster.agent(0)
    #expect(eventually { again.output.contains("lease found") }, "\(again.output)")
    #expect(try eventually { try cluster.leaseState(0) == "held" })
    #expect(try cluster.etcd.leases() == before, "\(again.output)")
    #expect(try cluster.nodes[1].podRoutes().count == 2)
    try cluster.nodes[0].sh("ip address add 2001:db8::11/64 dev eth0 nodad")
    try cluster.nodes[0].expectRoutes(routes, again)
    #expect(try cluster.etcd.leases() == before)
  }

  @Test func aSubnetLostToAnotherNodeIsNotServed() throws {
    let config = #"{"Network": "10.244.0.0/16", "SubnetMin": "10.244.5.0", "SubnetMax": "10.244.6.0"}"#
    let cluster = try EtcdCluster(1, config: config)
    let node = cluster.nodes[0]
    let (first, subnet) = try cluster.agentWithLease(0)
    first.stop()
    // Both subnets are given to others while the agent is down.
    for name in ["10.244.5.0-24", "10.244.6.0-24"] {
      try cluster.etcd.putRecord(name, of: name == keyName(subnet) ? "192.0.2.12" : "192.0.2.13")
    }
    let agent = try cluster.agent(0)
    #expect(try eventually { try node.subnetOfLease() == nil }, "\(agent.output)")
    #expect(
      eventually { agent.output.contains("no subnet is free") && agent.output.contains("192.0.2.12's now") },
      "\(agent.output)")
    // Peers' pods are reachable from this node anyway.
    try node.expectRoutes(
      ["10.244.5.0/24", "10.244.6.0/24"].map { "\($0) via \($0 == subnet ? "192.0.2.12" : "192.0.2.13")" }, agent)
    #expect(try cluster.status(0)["agent"]?.object?["ready"] == false)
    // An agent that has only its last lease does not serve the subnet either.
    agent.stop()
    cluster.etcd.stop(0)
    let blind = try cluster.agent(0)
    #expect(eventually { blind.output.contains("can't be read") }, "\(blind.output)")
    #expect(try node.subnetOfLease() == nil)
    try cluster.etcd.start(0)
    try cluster.etcd.waitUntilHealthy()
    try cluster.etcd.deleteRecord("10.244.6.0-24")
    #expect(try cluster.subnet(0, blind) == "10.244.6.0/24")
  }
}
