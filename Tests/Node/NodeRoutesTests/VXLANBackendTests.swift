import JSON
import Addresses
import Backends
import Netlink
import NodeRoutes
import Nodes
internal import OwnNode
import Testing

/// Routes, neighbours and forwarding entries of VXLAN tunnels as part of the route plan.
@Suite struct VXLANBackendTests {
  private static let macs = ["", "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"]

  /// Node `b` is on-link, `c` is not.
  private func scenario(dual: Bool = false, direct: Bool = false, isDeviceThere: Bool = true) throws -> Scenario {
    var scenario = Scenario(nodes: 3, dual: dual)
    scenario.snapshot.netConf.backend = VXLANConf(routesDirectly: direct)
    for index in scenario.snapshot.nodes.indices {
      for family in scenario.snapshot.netConf.families {
        scenario.snapshot.nodes[index].backendData[family] = [
          "VtepMAC": .string(VXLANBackendTests.macs[index + 1])
        ]
      }
    }
    scenario.snapshot.nodes[2].addresses.v4 = address("198.51.100.3")
    if dual { scenario.snapshot.nodes[2].addresses.v6 = address("2001:db8:9::3") }
    guard isDeviceThere else { return scenario }
    scenario.addDevice(7, "flannel.1", local: "192.0.2.1", address: "10.244.1.0/32", mtuBytes: 1450)
    if dual {
      scenario.addDevice(8, "flannel-v6.1", local: "fd00:2::1", address: "fd00:10:0:1::/128", mtuBytes: 1430)
    }
    return scenario
  }

  private func texts(_ routes: [RoutePlan.Step<Route>]) -> [String] {
    routes.map { step in
      let route = step.noun
      let via = route.gateway.map { " via \($0)" } ?? ""
      return "\(route.destination)\(via) dev \(route.linkIndex ?? 0)\(route.isOnLink ? " onlink" : "")"
        + (route.mtuBytes.map { " mtu \($0)" } ?? "") + (route.nextHopID == nil ? "" : " nhid")
    }
  }

  @Test func everyNodeGetsATunnelRoute() throws {
    let plan = try scenario(dual: true).plan()
    #expect(
      texts(plan.newRoutes) == [
        "10.244.2.0/24 via 10.244.2.0 dev 7 onlink", "fd00:10:0:2::/64 via fe80::ff:fe00:2 dev 8 onlink",
        "10.244.3.0/24 via 10.244.3.0 dev 7 onlink", "fd00:10:0:3::/64 via fe80::ff:fe00:3 dev 8 onlink",
      ])
    #expect(
      plan.newForwarding.map { "\($0.mac) \($0.destination) \($0.linkIndex)" } == [
        "02:00:00:00:00:02 192.0.2.2 7", "02:00:00:00:00:02 fd00:2::2 8", "02:00:00:00:00:03 198.51.100.3 7",
        "02:00:00:00:00:03 2001:db8:9::3 8",
      ])
    #expect(
      plan.newNeighbours.map { "\($0.address) \($0.mac)" } == [
        "10.244.2.0 02:00:00:00:00:02", "fe80::ff:fe00:2 02:00:00:00:00:02", "10.244.3.0 02:00:00:00:00:03",
        "fe80::ff:fe00:3 02:00:00:00:00:03",
      ])
    #expect(
      plan.newNextHops.isEmpty && plan.peers.allSatisfy { $0.detour == nil && $0.link?.hasPrefix("flannel") ?? false })
  }

  @Test func aSecondPlanIsEmpty() throws {
    for direct in [false, true] {
      var scenario = try scenario(dual: true, direct: direct)
      scenario.apply(try scenario.plan())
      let plan = try scenario.plan()
      #expect(plan.isEmpty && plan.peers.allSatisfy { $0.stateName == "installed" })
    }
  }

  @Test func onLinkPeersGetDirectRoutesAndOthersAReason() throws {
    let plan = try scenario(direct: true).plan()
    #expect(texts(plan.newRoutes) == ["10.244.2.0/24 dev 0 nhid", "10.244.3.0/24 via 10.244.3.0 dev 7 onlink"])
    #expect(plan.peers.map(\.link) == ["eth0", "flannel.1"])
    #expect(plan.peers[0].detour == nil)
    let reason = try #require(plan.peers[1].detour)
    #expect(reason.contains("tunnel") && reason.contains("192.0.2.1/24 on eth0"), "\(reason)")
    // On-link peers get no forwarding entry.
    #expect(plan.newForwarding.map(\.destination) == [address("198.51.100.3")])
  }

  /// The peer's address is in our network, but a router, a VPN or the state of the link prevents a direct route.
  @Test func peerThatIsNotDirectlyReachableGetsATunnel() throws {
    func device(_ change: (inout Scenario) -> Void) throws -> String? {
      var scenario = try scenario(direct: true)
      change(&scenario)
      return try scenario.plan().peers.first?.link
    }
    #expect(try device { _ in } == "eth0")
    func route(_ to: String, via gateway: String? = nil, on link: Int32) -> Route {
      Route(prefix(to), via: gateway.map(address), linkIndex: link, owner: 4)
    }
    #expect(try device { $0.state.detours = [route("192.0.2.2/32", via: "192.0.2.254", on: 2)] } == "flannel.1")
    #expect(try device { $0.state.detours = [route("192.0.2.0/28", on: 9)] } == "flannel.1")
    #expect(try device { $0.state.detours = [route("192.0.2.0/28", on: 2)] } == "eth0")
    #expect(try device { $0.state.detours = [route("192.0.2.64/26", via: "192.0.2.254", on: 2)] } == "eth0")
    // IFF_POINTOPOINT, IFF_NOARP, and no carrier.
    for flags in [0x1 | 0x10 | 0x10000, 0x1 | 0x2 | 0x80 | 0x10000, 0x1 | 0x2] as [UInt32] {
      #expect(try device { $0.state.links[1] = Scenario.link(2, "eth0", flags: flags) } == "flannel.1")
    }
  }

  @Test func addressThatNoPeerCanHaveGetsNoRoute() throws {
    for wrong in ["192.0.2.1", "10.244.3.9"] {
      var scenario = try scenario(direct: true)
      scenario.snapshot.nodes[2].addresses.v4 = address(wrong)
      #expect(try scenario.plan().peers[1].stateName == "off-link")
    }
  }

  @Test func movedNodeChangesItsRouteInPlace() throws {
    var scenario = try scenario(direct: true)
    scenario.apply(try scenario.plan())
    scenario.snapshot.nodes[2].addresses.v4 = address("192.0.2.33")
    let direct = try scenario.plan()
    #expect(texts(direct.changedRoutes) == ["10.244.3.0/24 dev 0 nhid"])
    #expect(direct.staleRoutes.isEmpty)
    #expect(direct.staleNeighbours.map(\.address) == [address("10.244.3.0")])
    #expect(direct.staleForwarding.map(\.destination) == [address("198.51.100.3")])
    scenario.apply(direct)
    scenario.snapshot.nodes[2].addresses.v4 = address("203.0.113.3")
    let away = try scenario.plan()
    #expect(texts(away.changedRoutes) == ["10.244.3.0/24 via 10.244.3.0 dev 7 onlink"] && away.newRoutes.isEmpty)
    #expect(away.newForwarding.count == 1 && away.newNeighbours.count == 1 && away.staleNextHops.count == 1)
    scenario.apply(away)
    // A new address of the same device replaces the entry in place.
    scenario.snapshot.nodes[2].addresses.v4 = address("203.0.113.4")
    let elsewhere = try scenario.plan()
    #expect(elsewhere.newForwarding.map(\.destination) == [address("203.0.113.4")])
    #expect(elsewhere.staleForwarding.isEmpty && elsewhere.changedRoutes.isEmpty)
  }

  @Test func unwantedRoutesAndEntriesAreRemoved() throws {
    var scenario = try scenario()
    scenario.apply(try scenario.plan())
    let flood = ForwardingEntry(try #require(MACAddress("00:00:00:00:00:00")), to: address("192.0.2.9"), linkIndex: 7)
    scenario.state.entries.append(.forwarding(flood))
    scenario.snapshot.nodes.removeLast()
    let plan = try scenario.plan()
    #expect(plan.staleRoutes.map(\.destination) == [prefix("10.244.3.0/24")])
    #expect(plan.staleNeighbours.map(\.address) == [address("10.244.3.0")])
    #expect(Set(plan.staleForwarding.map(\.destination)) == [address("198.51.100.3"), address("192.0.2.9")])
  }

  @Test func missingEntryIsRestoredAlone() throws {
    var scenario = try scenario()
    scenario.apply(try scenario.plan())
    scenario.state.entries.removeAll { $0.neighbour?.address == address("10.244.2.0") }
    let plan = try scenario.plan()
    #expect(plan.newNeighbours.count == 1 && plan.newForwarding.isEmpty && plan.newRoutes.isEmpty)
    #expect(plan.peers.map(\.stateName) == ["missing", "installed"])
  }

  @Test func existingRoutesStayWithoutTheDevice() throws {
    var scenario = try scenario(isDeviceThere: false)
    scenario.snapshot.netConf.backend = HostGateway()
    scenario.apply(try scenario.plan())
    scenario.snapshot.netConf.backend = VXLANConf()
    let plan = try scenario.plan()
    #expect(plan.isEmpty && plan.peers.allSatisfy { $0.stateName == "missing" })
  }

  /// While a device is down, its entries stay, because they are needed when it is up again.
  @Test func entriesOfADeviceThatIsDownStay() throws {
    var scenario = try scenario()
    scenario.apply(try scenario.plan())
    let link = scenario.state.links.removeLast()
    scenario.state.links.append(
      Link(
        index: link.index, name: link.name, mac: link.mac, mtuBytes: link.mtuBytes, flags: 0x2, kind: "vxlan",
        alias: TunnelDevice.mark, tunnel: link.tunnel))
    scenario.state.routes = []
    let plan = try scenario.plan()
    #expect(plan.isEmpty && plan.peers.allSatisfy { $0.stateName == "missing" })
  }

  /// A device without our alias is recognized by its MAC address, which only we derive.
  @Test func deviceWithoutAliasIsRecognizedByItsMAC() throws {
    func state(_ mac: MACAddress?, vni: UInt32 = 1) throws -> String? {
      var scenario = try scenario(isDeviceThere: false)
      let settings = VXLANSettings(
        vni: vni, port: 8472, local: address("192.0.2.1"), learns: false, carriesGroupPolicy: false)
      scenario.state.links.append(
        Link(
          index: 7, name: "flannel.1", mac: mac, mtuBytes: 1450, flags: 0x10003, kind: "vxlan", tunnel: .vxlan(settings)
        ))
      return try scenario.plan().peers.first?.stateName
    }
    let derived = VXLANConf(vni: 1).derivedMAC(ofNode: "a", .v4)
    #expect(try state(derived) == "missing")
    #expect(try state(derived, vni: 2) == "blocked")
    #expect(try state(MACAddress("02:00:00:00:00:77")) == "blocked")
  }

  @Test func reasonNamesALinkWithTooSmallAnMTU() throws {
    var scenario = try scenario(dual: true, isDeviceThere: false)
    scenario.state.links[1] = Scenario.link(2, "eth0", mtuBytes: 1340)
    let peers = try scenario.plan().peers
    #expect(peers.map(\.stateName) == ["missing", "blocked", "missing", "blocked"])
    #expect(peers[1].reason == "eth0 carries 1340 bytes; tunnels over IPv6 need 1350: raise its MTU")
    scenario.state.links[1] = Scenario.link(2, "eth0", mtuBytes: 1350)
    #expect(try scenario.plan().peers.allSatisfy { $0.stateName == "missing" })
    scenario.state.links[1] = Scenario.link(2, "eth0", mtuBytes: 625)
    #expect(try scenario.plan().peers.allSatisfy { $0.stateName == "blocked" })
    // A configured MTU overrides the check.
    scenario.snapshot.netConf.backend = VXLANConf(mtuBytes: 1400)
    #expect(try scenario.plan().peers.allSatisfy { $0.stateName == "missing" })
  }

  @Test func forwardingEntryWithWrongSettingsIsReplacedInPlace() throws {
    for change in [{ $0.port = 9999 }, { $0.vni = 9 }, { $0.outputLinkIndex = 2 }] as [(inout ForwardingEntry) -> Void]
    {
      var scenario = try scenario()
      scenario.apply(try scenario.plan())
      let position = try #require(scenario.state.entries.firstIndex { $0.forwarding != nil })
      var entry = try #require(scenario.state.entries[position].forwarding)
      change(&entry)
      scenario.state.entries[position] = .forwarding(entry)
      let plan = try scenario.plan()
      #expect(plan.newForwarding.count == 1 && plan.staleForwarding.isEmpty)
      scenario.apply(plan)
      #expect(try scenario.plan().isEmpty)
    }
  }

  @Test func changeOfBackendRemovesTheDevices() throws {
    for backend in [HostGateway(), Alloc(), VXLANConf(vni: 2)] as [any ClusterBackend] {
      var scenario = try scenario(dual: true)
      scenario.apply(try scenario.plan())
      scenario.snapshot.netConf.backend = backend
      let plan = try scenario.plan()
      #expect(plan.staleDevices.map(\.name) == ["flannel.1", "flannel-v6.1"])
    }
  }

  @Test func allocHasNoRoutes() throws {
    var scenario = Scenario(nodes: 3)
    scenario.guardsSubnets = true
    scenario.apply(try scenario.plan())
    #expect(scenario.state.routes.count == 3)
    scenario.snapshot.netConf.backend = Alloc()
    let plan = try scenario.plan()
    #expect(plan.staleRoutes.count == 3 && plan.newBlackholes.isEmpty)
    #expect(plan.peers.allSatisfy { $0.stateName == "not-routed" && $0.isSettled && $0.reason == nil })
  }

  /// A device with the MAC address of another would receive its packets.
  @Test func secondNodeWithTheSameMACIsBlocked() throws {
    var scenario = try scenario()
    scenario.snapshot.nodes[2].backendData.v4 = scenario.snapshot.nodes[1].backendData.v4
    let plan = try scenario.plan()
    #expect(plan.peers.map(\.stateName) == ["missing", "blocked"] && plan.newForwarding.count == 1)
    // One node may have two subnets.
    scenario.snapshot.nodes[2].addresses.v4 = scenario.snapshot.nodes[1].addresses.v4
    let shared = try scenario.plan()
    #expect(shared.newForwarding.count == 1 && shared.newNeighbours.count == 2 && shared.newRoutes.count == 2)
  }

  @Test func nodeWithoutVtepMACIsSkipped() throws {
    var scenario = try scenario(direct: true)
    for index in 1...2 { scenario.snapshot.nodes[index].backendData.v4 = nil }
    let peers = try scenario.plan().peers
    #expect(peers.map(\.stateName) == ["missing", "skipped"] && peers[1].reason?.contains("VtepMAC") == true)
  }

  /// While the address of a family is missing, its routes stay, and so do the entries and devices that they need.
  @Test func missingAddressChangesNothing() throws {
    var scenario = try scenario(dual: true, direct: true)
    scenario.apply(try scenario.plan())
    scenario.state.addresses.removeAll { $0.prefix.address == address("fd00:2::1") }
    let plan = try scenario.plan()
    #expect(plan.isEmpty)
    #expect(plan.peers.filter { $0.family == .v6 }.allSatisfy { $0.stateName == "off-link" })
    scenario.state.addresses.removeAll { $0.linkIndex == 7 }
    #expect(try scenario.plan().staleDevices.isEmpty)
  }

  /// Routes that flannel's vxlan backend left.
  @Test func tunnelRoutesOfFlannelAreTakenOver() throws {
    var scenario = try scenario()
    let left = [
      Route(prefix("10.244.2.0/24"), via: address("10.244.2.0"), linkIndex: 7, owner: Route.bootOwner, isOnLink: true),
      Route(prefix("10.244.9.0/24"), via: address("10.244.9.0"), linkIndex: 7, owner: Route.bootOwner, isOnLink: true),
    ]
    #expect(try scenario.plan(foreign: left).peers.map(\.stateName) == ["blocked", "missing"])
    scenario.takesOverFlannel = true
    let plan = try scenario.plan(foreign: left)
    #expect(texts(plan.changedRoutes) == ["10.244.2.0/24 via 10.244.2.0 dev 7 onlink"])
    #expect(plan.staleRoutes == [left[1]])
  }

  @Test func derivedMACIsUniquePerNodeFamilyAndVNI() throws {
    let macs = ["a", "b", "node-1", "node-2"].flatMap { name in
      IPFamily.allCases.flatMap { family in [1, 2].map { VXLANConf(vni: $0).derivedMAC(ofNode: name, family) } }
    }
    #expect(Set(macs).count == macs.count && macs.allSatisfy { $0.isUnicast && $0.bytes[0] & 2 != 0 })
    // Running clusters have stored this MAC address: it must never change.
    #expect("\(VXLANConf(vni: 1).derivedMAC(ofNode: "node-a", .v4))" == "e2:42:a5:f3:d8:99")
  }
}

extension Scenario {
  /// Adds a VXLAN device that the helper owns.
  mutating func addDevice(_ index: Int32, _ name: String, local: String, address: String, mtuBytes: Int) {
    let settings = VXLANSettings(
      vni: 1, port: 8472, local: NodeRoutesTests.address(local), learns: false, carriesGroupPolicy: false)
    state.links.append(
      Link(
        index: index, name: name, mac: MACAddress("02:00:00:00:00:01"), mtuBytes: mtuBytes, flags: 0x1 | 0x2 | 0x10000,
        kind: "vxlan", alias: TunnelDevice.mark, tunnel: .vxlan(settings)))
    state.addresses.append(LinkAddress(prefix(address), linkIndex: index))
  }
}

extension DeviceEntry {
  fileprivate var neighbour: StaticNeighbour? {
    if case .neighbour(let neighbour) = self { neighbour } else { nil }
  }

  fileprivate var forwarding: ForwardingEntry? {
    if case .forwarding(let entry) = self { entry } else { nil }
  }
}

extension RoutePlan {
  fileprivate var newNeighbours: [StaticNeighbour] { newEntries.compactMap(\.noun.neighbour) }
  fileprivate var newForwarding: [ForwardingEntry] { newEntries.compactMap(\.noun.forwarding) }
  fileprivate var staleNeighbours: [StaticNeighbour] { staleEntries.compactMap(\.neighbour) }
  fileprivate var staleForwarding: [ForwardingEntry] { staleEntries.compactMap(\.forwarding) }
}
