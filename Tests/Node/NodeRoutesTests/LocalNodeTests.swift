import Addresses
import Netlink
internal import Nodes
internal import NodeState
import OwnNode
import Testing

@Suite struct LocalNodeTests {
  private func name(_ selection: NodeSelection, _ change: (inout Scenario) -> Void = { _ in }) throws -> String {
    var scenario = Scenario(nodes: 3)
    scenario.selection = selection
    change(&scenario)
    return try scenario.own().node.name
  }

  private func error(_ selection: NodeSelection, _ change: (inout Scenario) -> Void = { _ in }) throws -> LocalNodeError
  {
    try #require(throws: LocalNodeError.self) { try name(selection, change) }
  }

  @Test func localNodeIsFoundByNameAddressHostNameOrInterface() throws {
    #expect(try name(NodeSelection(name: "a", hostName: "b")) == "a")
    #expect(
      try name(NodeSelection(hostName: "b", interface: InterfaceSelection(publicAddresses: [address("192.0.2.1")])))
        == "a")
    #expect(try name(NodeSelection(hostName: "a")) == "a")
    #expect(try name(NodeSelection(hostName: "elsewhere")) == "a")
    #expect(try name(NodeSelection(hostName: "elsewhere", interface: InterfaceSelection(names: ["eth0"]))) == "a")
    #expect(try name(NodeSelection(hostName: "elsewhere", interface: InterfaceSelection(names: ["192.0.2.1"]))) == "a")
  }

  @Test func errorsNameWhatWasSearched() throws {
    #expect(try error(NodeSelection(name: "x", hostName: "a")) == .unknownName("x", known: "a, b, c"))
    #expect(
      try error(NodeSelection(hostName: "a", interface: InterfaceSelection(publicAddresses: [address("192.0.2.9")])))
        == .unknownAddress(address("192.0.2.9")))
    #expect(
      try error(NodeSelection(hostName: "x")) { $0.snapshot.nodes.removeFirst() }
        == .notFound(hostName: "x", addresses: "192.0.2.1 on eth0, fd00:2::1 on eth0"))
    #expect(
      try error(NodeSelection(hostName: "x")) {
        $0.state.addresses.append(LinkAddress(prefix("192.0.2.2/24"), linkIndex: 2))
      } == .ambiguous(first: "a", second: "b"))
    #expect(
      try error(NodeSelection(hostName: "a", interface: InterfaceSelection(names: ["eth7"])))
        == .noInterface("--iface eth7", links: "lo, eth0"))
  }

  @Test func addressOfTheNodeMustBeOnALink() throws {
    #expect(
      try error(NodeSelection(hostName: "b"))
        == .notOurs(node: "b", wanted: "192.0.2.2", addresses: "192.0.2.1 on eth0, fd00:2::1 on eth0"))
    #expect(
      try error(
        NodeSelection(name: "a", hostName: "", interface: InterfaceSelection(publicAddresses: [address("192.0.2.9")])))
        == .otherAddress(node: "a", given: address("192.0.2.9"), found: "192.0.2.1"))
    #expect(
      try error(NodeSelection(hostName: "a")) { $0.snapshot.nodes[0].addresses.v4 = nil } == .noAddress(node: "a"))
    #expect(try error(NodeSelection(hostName: "a")) { $0.snapshot.nodes[0].subnets.v4 = nil } == .noSubnet(node: "a"))
    // On a link, but not on the one that was given.
    #expect(throws: LocalNodeError.self) {
      try name(NodeSelection(hostName: "a", interface: InterfaceSelection(names: ["eth1"]))) {
        $0.state.links.append(Scenario.link(3, "eth1"))
      }
    }
  }

  /// The node list holds the address: it may be on any link that the selectors match.
  @Test func selectorsLimitWhichAddressesIdentifyTheNode() throws {
    func selecting(_ interface: InterfaceSelection) throws -> String {
      try name(NodeSelection(hostName: "elsewhere", interface: interface)) {
        $0.state.links.append(Scenario.link(3, "eth1"))
        // Node b's address is ours too.
        $0.state.addresses.append(LinkAddress(prefix("192.0.2.2/24"), linkIndex: 3))
        $0.state.linksToReach[address("198.51.100.1")] = 3
      }
    }
    #expect(try selecting(InterfaceSelection(names: ["eth1"])) == "b")
    #expect(try selecting(InterfaceSelection(patterns: ["^eth1"])) == "b")
    #expect(try selecting(InterfaceSelection(reachable: [address("198.51.100.1")])) == "b")
    #expect(throws: LocalNodeError.ambiguous(first: "a", second: "b")) {
      try selecting(InterfaceSelection(names: ["eth7"], patterns: ["eth"]))
    }
    let absent = InterfaceSelection(patterns: ["wlan"], reachable: [address("203.0.113.1")])
    #expect(
      throws: LocalNodeError.noInterface(
        "--iface-regex wlan, --iface-can-reach 203.0.113.1", links: "lo, eth0, eth1")
    ) { try selecting(absent) }
  }

  @Test func addressOfOneFamilyIsEnough() throws {
    var scenario = Scenario(nodes: 2, dual: true)
    scenario.state.addresses.removeLast()
    let own = try scenario.own()
    #expect(own.links.map(\.name) == ["eth0"])
    #expect(own.problems == [.v6: "fd00:2::1 of node a, this machine, is on none of its links"])
  }

  /// IFA_F_DADFAILED and IFA_F_TENTATIVE, IFA_F_TENTATIVE alone.
  @Test(arguments: [(0x48, "is in use by another machine too"), (0x40, "waits for")] as [(UInt32, String)])
  func problemOfAnUnusableAddressIsReported(flags: UInt32, words: String) throws {
    var scenario = Scenario(nodes: 2, dual: true)
    scenario.state.addresses[2] = LinkAddress(prefix("fd00:2::1/64"), linkIndex: 2, flags: flags)
    let problem = try #require(try scenario.own().problems[.v6])
    #expect(problem.contains("fd00:2::1 of node a, this machine, \(words)"), "\(problem)")
    scenario.state.addresses.remove(at: 1)
    let error = try #require(throws: LocalNodeError.self) { try scenario.own() }
    #expect(error.description.contains("fd00:2::1 of node a, this machine, \(words)"), "\(error)")
  }

  /// Node b's address is on our link, but b has it too.
  @Test func duplicateAddressDoesNotIdentifyTheNode() throws {
    let name = try name(NodeSelection(hostName: "elsewhere")) {
      $0.snapshot.nodes[1].addresses.v6 = address("fd00:2::1")
      $0.state.addresses[2] = LinkAddress(prefix("fd00:2::1/64"), linkIndex: 2, flags: 0x48)
    }
    #expect(name == "a")
  }

  @Test func leaseHasTheFormatOfFlannelsSubnetFile() throws {
    var scenario = Scenario(nodes: 2, dual: true)
    scenario.state.links[1] = Scenario.link(2, "eth0", mtuBytes: 9000)
    let own = try scenario.own()
    let lease = try #require(own.lease(networks: scenario.snapshot.netConf.networks, masquerades: true))
    #expect(
      lease.text == """
        FLANNEL_NETWORK=10.244.0.0/16
        FLANNEL_SUBNET=10.244.1.1/24
        FLANNEL_IPV6_NETWORK=fd00:10::/48
        FLANNEL_IPV6_SUBNET=fd00:10:0:1::1/64
        FLANNEL_MTU=9000
        FLANNEL_IPMASQ=true

        """)
  }

  @Test func leaseHasOnlyTheFamiliesOfTheNode() throws {
    var scenario = Scenario(nodes: 2, dual: true)
    scenario.snapshot.nodes[0].subnets.v6 = nil
    let own = try scenario.own()
    let lease = try #require(own.lease(networks: scenario.snapshot.netConf.networks, masquerades: false))
    #expect(lease.networks == [prefix("10.244.0.0/16")])
    #expect(lease.subnets == [prefix("10.244.1.1/24")])
  }

  /// A store that allocates leases may have none free: it then knows the node, but without a subnet.
  @Test func nodeWithoutSubnetIsFoundAndHasNoLease() throws {
    var scenario = Scenario(nodes: 2)
    var own = scenario.snapshot.nodes[0]
    own.subnets.v4 = nil
    scenario.snapshot.own = own
    let found = try scenario.own()
    #expect(found.lease(networks: scenario.snapshot.netConf.networks, masquerades: false) == nil)
    #expect(found.families(of: scenario.snapshot.netConf) == [.v4])
  }
}
