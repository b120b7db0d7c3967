import Addresses
import JSON
import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot, .requires(.vxlan)) struct VXLANLinkTests {
  private let node: TestNode
  private let uplink: Int32

  init() throws {
    node = try TestNode()
    uplink = try node.addUplink(addresses: "192.0.2.1/24", "2001:db8::1/64")
  }

  private func settings(_ local: String, _ change: (inout VXLANSettings) -> Void = { _ in }) throws -> VXLANSettings {
    var settings = VXLANSettings(
      vni: 0xABCDEF, port: 4789, local: try address(local), learns: false, carriesGroupPolicy: false)
    change(&settings)
    return settings
  }

  @Test(arguments: ["192.0.2.1", "2001:db8::1"])
  func aDeviceIsToldAsItWasMade(_ local: String) throws {
    var socket = try node.routeSocket()
    let variants = [
      try settings(local), try settings(local) { $0.learns = true },
      try settings(local) { $0.carriesGroupPolicy = true },
      try settings(local) { $0.linkIndex = uplink },
    ]
    for wanted in variants {
      try socket.perform(.addVXLAN(name: "x", mac: mac("02:00:00:00:00:01"), mtuBytes: 1400, wanted))
      let link = try #require(try socket.link(named: "x"))
      #expect(link.tunnel == .vxlan(wanted) && link.kind == "vxlan" && link.isUp && link.mtuBytes == 1400)
      #expect(link.mac == (try mac("02:00:00:00:00:01")))
      try socket.perform(.removeLink(link.index, name: "x"))
    }
    let plain = try #require(try socket.link(named: "eth0"))
    #expect(plain.tunnel == nil)
  }

  /// As flannel has them: one of each family with the same number and port.
  @Test func twoFamiliesShareANumber() throws {
    var socket = try node.routeSocket()
    for (name, local) in [("a", "192.0.2.1"), ("b", "2001:db8::1")] {
      try socket.perform(.addVXLAN(name: name, mac: mac("02:00:00:00:00:01"), mtuBytes: 1400, settings(local)))
    }
    let refusal = refusal {
      try socket.perform(.addVXLAN(name: "c", mac: mac("02:00:00:00:00:01"), mtuBytes: 1400, settings("192.0.2.1")))
    }
    #expect(refusal?.text.contains("make the VXLAN device c") == true, "\(refusal?.text ?? "")")
  }

  @Test func neighboursAndForwardingEntriesAreReplacedListedAndRemoved() throws {
    var socket = try node.routeSocket()
    try socket.perform(.addVXLAN(name: "x", mac: mac("02:00:00:00:00:01"), mtuBytes: 1400, settings("192.0.2.1")))
    let index = try node.index(of: "x")
    let macs = try ["02:00:00:00:00:02", "02:00:00:00:00:03"].map(mac)
    for text in ["10.244.2.0", "fe80::2"] {
      let neighbours = try macs.map { StaticNeighbour(try address(text), mac: $0, linkIndex: index) }
      for neighbour in neighbours { try socket.perform(.replaceNeighbour(neighbour)) }
      #expect(try socket.staticNeighbours(on: index) == [neighbours[1]])
      #expect(try socket.staticNeighbours(on: uplink) == [])
      try socket.perform(.removeNeighbour(neighbours[1]))
      #expect(try socket.staticNeighbours(on: index) == [])
      #expect(refusal { try socket.perform(.removeNeighbour(neighbours[1])) }?.errno == 2)
    }
    let entries = try ["192.0.2.7", "192.0.2.8"].map { ForwardingEntry(macs[0], to: try address($0), linkIndex: index) }
    for entry in entries { try socket.perform(.replaceForwarding(entry)) }
    #expect(try socket.forwardingEntries(on: index) == [entries[1]])
    #expect(try node.sh("bridge fdb show dev x").contains("02:00:00:00:00:02 dst 192.0.2.8 self permanent"))
    #expect(try socket.forwardingEntries(on: uplink) == [])
    try socket.perform(.removeForwarding(entries[1]))
    #expect(try socket.forwardingEntries(on: index) == [])
    #expect(refusal { try socket.perform(.removeForwarding(entries[1])) }?.errno == 2)
    // What differs from the device's own is a part of the entry.
    let other = ForwardingEntry(
      macs[0], to: try address("192.0.2.7"), linkIndex: index, port: 9999, vni: 9, outputLinkIndex: uplink)
    try socket.perform(.replaceForwarding(other))
    #expect(try node.sh("bridge fdb show dev x").contains("port 9999 vni 9 via eth0"))
    #expect(try socket.forwardingEntries(on: index) == [other])
    try socket.perform(.replaceForwarding(entries[0]))
    #expect(try socket.forwardingEntries(on: index) == [entries[0]])
    try socket.perform(.replaceForwarding(other))
    try socket.perform(.removeForwarding(other))
    #expect(try socket.forwardingEntries(on: index) == [])
  }

  @Test func theReversePathFilterIsSetAndTold() throws {
    var socket = try node.routeSocket()
    try socket.perform(.addVXLAN(name: "x", mac: mac("02:00:00:00:00:01"), mtuBytes: 1400, settings("192.0.2.1")))
    for value in [2, 1, 0] as [UInt32] {
      try socket.perform(.changeLink(name: "x", LinkChange(reversePathFilter: value)))
      #expect(try socket.link(named: "x")?.reversePathFilter == value)
      #expect(try node.sh("cat /proc/sys/net/ipv4/conf/x/rp_filter") == "\(value)\n")
    }
  }

  /// Checks that a route through a next-hop object and one through a tunnel replace each other.
  @Test func aRouteIsReplacedByOneThroughATunnelAndBack() throws {
    var socket = try node.routeSocket()
    try socket.perform(.addVXLAN(name: "x", mac: mac("02:00:00:00:00:01"), mtuBytes: 1400, settings("192.0.2.1")))
    let index = try node.index(of: "x")
    for (number, (subnet, hop, gateway)) in [
      ("10.244.2.0/24", "192.0.2.2", "10.244.2.0"), ("fd00:10::/64", "2001:db8::2", "fe80::2"),
    ].enumerated() {
      let id = UInt32(number + 1)
      try socket.perform(.addNextHop(NextHop(id: id, gateway: address(hop), linkIndex: uplink, owner: 202)))
      let plain = Route(try prefix(subnet), nextHopID: id, owner: 202)
      let tunnel = Route(
        try prefix(subnet), via: try address(gateway), linkIndex: index, owner: 202, mtuBytes: 1390, isOnLink: true)
      try socket.perform(.addRoute(plain))
      for _ in 0..<2 {
        try socket.perform(.replaceRoute(tunnel))
        var found = try socket.routes(owner: 202, table: Route.mainTable).filter {
          $0.destination == tunnel.destination
        }
        #expect(found.count == 1 && found[0].isOnLink && found[0].mtuBytes == 1390 && found[0].linkIndex == index)
        try socket.perform(.replaceRoute(plain))
        found = try socket.routes(owner: 202, table: Route.mainTable).filter { $0.destination == tunnel.destination }
        #expect(found.count == 1 && found[0].nextHopID == id && found[0].mtuBytes == nil)
      }
    }
  }
}
