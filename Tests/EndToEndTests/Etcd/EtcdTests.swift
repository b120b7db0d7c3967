import JSON
import Linux
import Testing
import TestSupport

/// `causeway-hostgw run --store etcd`: leases and routes without failures.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct EtcdTests {
  @Test func twoAgentsHaveDistinctLeasesAndEachOthersRoutes() throws {
    let cluster = try EtcdCluster(2, config: EtcdServer.dualConfig)
    let (first, subnet0) = try cluster.agentWithLease(0)
    let (second, subnet1) = try cluster.agentWithLease(1)
    let leases = try cluster.etcd.leases()
    #expect(leases.count == 2 && subnet0 != subnet1)
    let own = try #require(leases.first { $0.key.hasPrefix(keyName(subnet0) + "&") }, "\(leases)")
    #expect(own.value == #"{"PublicIP":"192.0.2.11","PublicIPv6":"2001:db8::11","BackendType":"host-gw"}"#)
    #expect(own.leaseID != "0")
    let ipv6 = leases.map { $0.key.split(separator: "&")[1].replacing("::-64", with: "::/64") }
    let other = try #require(leases.firstIndex { $0.key.hasPrefix(keyName(subnet1)) })
    try cluster.nodes[0].expectRoutes(
      ["\(subnet1) via 192.0.2.12", "\(ipv6[other]) via 2001:db8::12"], first)
    try cluster.nodes[1].expectRoutes(
      ["\(subnet0) via 192.0.2.11", "\(ipv6[1 - other]) via 2001:db8::11"], second)
    let file = try cluster.nodes[0].sh("cat /run/causeway/subnet.env")
    #expect(file.contains("FLANNEL_NETWORK=10.244.0.0/16\n") && file.contains("FLANNEL_IPV6_SUBNET=fd00:10:244:"))
    // The default TTL is a day.
    let time = try cluster.etcd.ctl("lease", "timetolive", String(Int64(own.leaseID) ?? 0, radix: 16))
    #expect(time.contains("granted with TTL(86400s)"), "\(time)")
  }

  @Test func foreignRecordsAreReadAndUnsupportedOnesSkippedWithAReason() throws {
    let cluster = try EtcdCluster(1)
    let etcd = cluster.etcd
    try etcd.putRecord("10.244.2.0-24", of: "192.0.2.12")
    try etcd.putRecord(
      "10.244.3.0-24",
      #"{"PublicIP":"192.0.2.13","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"5e:00:00:00:00:01"}}"#
    )
    try etcd.putRecord("10.244.4.0-24", #"{"PublicIP":"192.0.2.14","BackendType":"pigeons"}"#)
    try etcd.putRecord("10.244.5.0-24", "{")
    try etcd.putRecord("what is this", of: "192.0.2.15")
    let agent = try cluster.agent(0)
    try cluster.nodes[0].expectRoutes(["10.244.2.0/24 via 192.0.2.12"], agent)
    #expect(eventually { agent.output.contains("its backend is vxlan") }, "\(agent.output)")
    let status = try cluster.nodes[0].run([Binaries.hostgw, "status"] + cluster.storeOptions).succeeded().output
    for words in [
      ["192.0.2.12", "10.244.2.0/24", "installed"], ["192.0.2.13", "skipped", "vxlan"],
      ["192.0.2.14", "skipped", "pigeons"], ["10.244.5.0-24", "skipped", "no JSON object"],
      ["what is this", "skipped", "its key"],
    ] {
      #expect(status.split(separator: "\n").contains { line in words.allSatisfy { line.contains($0) } }, "\(status)")
    }
    // A corrected record gets its route, and a record that becomes invalid loses it.
    try etcd.putRecord("10.244.5.0-24", of: "192.0.2.16")
    try etcd.putRecord("10.244.2.0-24", "bad")
    try cluster.nodes[0].expectRoutes(["10.244.5.0/24 via 192.0.2.16"], agent)
  }

  @Test func aReservationStaysWithoutALease() throws {
    let cluster = try EtcdCluster(1)
    try cluster.etcd.putRecord("10.244.77.0-24", #"{"PublicIP":"192.0.2.11"}"#)
    let (agent, subnet) = try cluster.agentWithLease(0, "--subnet-lease-ttl", "2s")
    #expect(subnet == "10.244.77.0/24")
    let lease = try #require(try cluster.etcd.leases().first)
    #expect(lease.leaseID == "0" && lease.value == EtcdServer.value("192.0.2.11"), "\(lease)\n\(agent.output)")
    agent.stop()
    MonotonicTime.sleep(.seconds(3))
    #expect(try cluster.etcd.leases() == [lease])
  }

  @Test func theLeaseIsFoundAfterARestartAndAReboot() throws {
    let cluster = try EtcdCluster(1)
    let node = cluster.nodes[0]
    let (first, subnet) = try cluster.agentWithLease(0)
    let lease = try cluster.etcd.leases()
    first.signal(15)
    #expect(try first.exitStatus() == 0)
    // Neither file is needed while etcd has a record with the address.
    try node.sh("rm -f /run/causeway/subnet.env /var/lib/causeway/lease.env")
    let (second, again) = try cluster.agentWithLease(0)
    #expect(again == subnet && second.output.contains("lease found"), "\(second.output)")
    #expect(try cluster.etcd.leases() == lease)
    second.stop()
    // A reboot after the lease has expired: only the copy remains.
    try cluster.etcd.deleteRecord(keyName(subnet))
    try node.sh("rm -f /run/causeway/subnet.env")
    let (third, same) = try cluster.agentWithLease(0)
    #expect(same == subnet, "\(third.output)")
  }

  @Test func oneOfTwoAgentsGetsTheLastSubnetAndTheOtherWaits() throws {
    let config = #"{"Network": "10.244.0.0/16", "SubnetMin": "10.244.5.0", "SubnetMax": "10.244.5.0"}"#
    let cluster = try EtcdCluster(2, config: config)
    let agents = [try cluster.agent(0), try cluster.agent(1)]
    #expect(try eventually { try cluster.nodes.contains { try $0.subnetOfLease() != nil } })
    let winner = try cluster.nodes[0].subnetOfLease() != nil ? 0 : 1
    let loser = 1 - winner
    #expect(eventually { agents[loser].output.contains("no subnet is free") }, "\(agents[loser].output)")
    #expect(try cluster.nodes[loser].subnetOfLease() == nil && agents[loser].isRunning)
    #expect(try cluster.etcd.leases().map(\.value) == [EtcdServer.value(EtcdCluster.address(winner))])
    agents[winner].stop()
    try cluster.etcd.deleteRecord("10.244.5.0-24")
    #expect(try cluster.subnet(loser, agents[loser]) == "10.244.5.0/24")
  }

  @Test func aDeletedLeaseIsRestored() throws {
    let cluster = try EtcdCluster(2)
    let (agent, subnet) = try cluster.agentWithLease(0)
    let (peer, other) = try cluster.agentWithLease(1)
    try cluster.nodes[0].expectRoutes(["\(other) via 192.0.2.12"], agent)
    try cluster.etcd.deleteRecord(keyName(subnet))
    #expect(try eventually { try cluster.etcd.leases().contains { $0.key == keyName(subnet) && $0.leaseID != "0" } })
    #expect(agent.output.contains("lease lost") && agent.isRunning, "\(agent.output)")
    #expect(try cluster.nodes[0].subnetOfLease() == subnet)
    try cluster.nodes[0].expectRoutes(["\(other) via 192.0.2.12"], agent)
    try cluster.nodes[1].expectRoutes(["\(subnet) via 192.0.2.11"], peer)
  }

  @Test func aSubnetTakenByAnotherIsGivenUp() throws {
    let cluster = try EtcdCluster(1)
    let (agent, subnet) = try cluster.agentWithLease(0)
    try cluster.etcd.putRecord(keyName(subnet), of: "192.0.2.99")
    #expect(try eventually { try cluster.nodes[0].subnetOfLease() != subnet }, "\(agent.output)")
    let leases = try cluster.etcd.leases()
    #expect(leases.first { $0.key == keyName(subnet) }?.value == EtcdServer.value("192.0.2.99"), "\(leases)")
    #expect(leases.count == 2 && agent.isRunning && agent.output.contains("lease lost"), "\(agent.output)")
    try cluster.nodes[0].expectRoutes(["\(subnet) via 192.0.2.99"], agent)
  }

  @Test func peersFollowANewAddress() throws {
    let cluster = try EtcdCluster(2)
    let (agent, subnet) = try cluster.agentWithLease(0)
    let (peer, other) = try cluster.agentWithLease(1)
    try cluster.nodes[1].expectRoutes(["\(subnet) via 192.0.2.11"], peer)
    let before = try cluster.etcd.leases()
    try cluster.nodes[0].sh("ip address add 192.0.2.50/24 dev eth0 && ip address del 192.0.2.11/24 dev eth0")
    // The kernel removes the secondary address with the primary one.
    try cluster.nodes[0].sh("ip address replace 192.0.2.50/24 dev eth0")
    try cluster.nodes[1].expectRoutes(["\(subnet) via 192.0.2.50"], peer)
    try cluster.nodes[0].expectRoutes(["\(other) via 192.0.2.12"], agent)
    let after = try cluster.etcd.leases()
    #expect(after.map(\.key) == before.map(\.key) && after.map(\.leaseID) == before.map(\.leaseID))
  }

  @Test func aFormerSubnetStaysWhilePodsUseIt() throws {
    let cluster = try EtcdCluster(2)
    let (agent, subnet) = try cluster.agentWithLease(0)
    let (peer, _) = try cluster.agentWithLease(1)
    let pod = subnet.replacing(".0/24", with: ".9")
    try cluster.nodes[0].sh("mkdir -p /var/lib/cni/networks/podnet && echo x >/var/lib/cni/networks/podnet/\(pod)")
    // Smaller subnets for new leases.
    try cluster.etcd.putConfig(#"{"Network": "10.244.0.0/16", "SubnetLen": 26}"#)
    #expect(try eventually { try cluster.nodes[0].subnetOfLease()?.hasSuffix("/26") ?? false }, "\(agent.output)")
    let new = try #require(try cluster.nodes[0].subnetOfLease())
    try cluster.nodes[1].expectRoutes(["\(subnet) via 192.0.2.11", "\(new) via 192.0.2.11"], peer)
    try cluster.nodes[0].sh("rm /var/lib/cni/networks/podnet/\(pod)")
    agent.stop()
    let (again, same) = try cluster.agentWithLease(0)
    #expect(same == new, "\(again.output)")
    try cluster.nodes[1].expectRoutes(["\(new) via 192.0.2.11"], peer)
  }

  @Test func aNodeOfOneFamilyUsesThatFamily() throws {
    let cluster = try EtcdCluster(2, config: EtcdServer.dualConfig)
    try cluster.nodes[1].sh("ip -6 address flush dev eth0 scope global")
    let (dual, subnet0) = try cluster.agentWithLease(0)
    let (single, subnet1) = try cluster.agentWithLease(1)
    try cluster.nodes[1].expectRoutes(["\(subnet0) via 192.0.2.11"], single)
    try cluster.nodes[0].expectRoutes(["\(subnet1) via 192.0.2.12"], dual)
    #expect(try cluster.etcd.leases().contains { $0.key == keyName(subnet1) })
    // With an address of the other family it uses both.
    try cluster.nodes[1].sh("ip address add 2001:db8::12/64 dev eth0 nodad")
    #expect(
      try eventually { try cluster.nodes[1].sh("cat /run/causeway/subnet.env").contains("IPV6") }, "\(single.output)")
    #expect(try eventually { try cluster.nodes[0].podRoutes().count == 2 }, "\(dual.output)")
    #expect(try cluster.etcd.leases().count == 2)
  }

  @Test func syncIsRefusedWithTheReason() throws {
    let node = try TestNode()
    let sync = try node.hostgw("sync", "--store", "etcd")
    #expect(sync.status != 0 && sync.errors.contains("causeway-hostgw run"), "\(sync)")
  }
}
