import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot) struct RouteEventTests {
  private let node: TestNode
  private let index: Int32

  init() throws {
    node = try TestNode()
    index = try node.addUplink(addresses: "192.0.2.1/24", "2001:db8::1/64")
  }

  @Test(arguments: [
    "ip link set eth0 down", "ip link add x type bridge", "ip address add 192.0.2.9/24 dev eth0",
    "ip address del 2001:db8::1/64 dev eth0", "ip route add 10.0.0.0/24 via 192.0.2.2",
    "ip route add fd00::/64 via 2001:db8::2", "ip nexthop add id 1 via 192.0.2.2 dev eth0",
  ])
  func everyChangeIsNotified(_ change: String) throws {
    var events = try RouteEvents(tunnelsMarked: "causeway-hostgw", in: node.namespace())
    // Notifications that the fixture caused may still arrive.
    while try events.waitForChange(atMost: .milliseconds(100)) {}
    try node.sh(change)
    #expect(try events.waitForChange(atMost: .seconds(10)))
  }

  /// The command that adds a VXLAN device which sends no packets by itself.
  private static func tunnel(_ name: String, _ number: Int) -> String {
    "ip link add \(name) type vxlan id \(number) dstport 8472 && ip link set \(name) addrgenmode none up"
  }

  /// Only permanent neighbours of tunnels count.
  @Test(.requires(.vxlan)) func neighboursOfTunnelsAreNotified() throws {
    try node.sh("\(RouteEventTests.tunnel("x", 1)) && ip link set x alias causeway-hostgw")
    var events = try RouteEvents(tunnelsMarked: "causeway-hostgw", in: node.namespace())
    func expect(_ change: String, isNotified: Bool) throws {
      while try events.waitForChange(atMost: .milliseconds(100)) {}
      try node.sh(change)
      #expect(
        try events.waitForChange(atMost: isNotified ? .seconds(10) : .milliseconds(300)) == isNotified, "\(change)")
    }
    let neighbour = "192.0.2.9 lladdr 02:00:00:00:00:09 nud permanent"
    try expect("ip neigh add \(neighbour) dev eth0", isNotified: false)
    try expect("ip neigh add \(neighbour) dev x", isNotified: true)
    try expect("bridge fdb add 02:00:00:00:00:09 dev x dst 192.0.2.9", isNotified: true)
    try expect("bridge fdb del 02:00:00:00:00:09 dev x", isNotified: true)
    try expect("ip neigh del 192.0.2.9 dev x", isNotified: true)
    // A port that leaves a bridge is not a removed link.
    try expect("ip link add b0 type bridge && ip link set x master b0 && ip link set x nomaster", isNotified: true)
    try expect("ip neigh add \(neighbour) dev x", isNotified: true)
    // A tunnel that was added later and marked after that.
    try expect(RouteEventTests.tunnel("y", 2), isNotified: true)
    try expect("ip neigh add \(neighbour) dev y", isNotified: false)
    try expect("ip link set y alias causeway-hostgw", isNotified: true)
    try expect("ip neigh del 192.0.2.9 dev y", isNotified: true)
    try expect("ip link del x && ip link del y", isNotified: true)
    try expect(RouteEventTests.tunnel("y", 2) + " && ip link set y alias causeway-hostgw", isNotified: true)
    try expect("ip neigh add \(neighbour) dev y", isNotified: true)
  }

  @Test func theWaitEndsAfterItsLimit() throws {
    let other = try TestNode()
    var events = try RouteEvents(tunnelsMarked: "causeway-hostgw", in: other.namespace())
    try node.sh("ip route add 10.0.0.0/24 via 192.0.2.2")
    #expect(try !events.waitForChange(atMost: .milliseconds(50)))
  }

  /// More notifications than any buffer holds: a change is reported nevertheless, and no further one afterwards.
  @Test(.requires(.vxlan)) func lostNotificationsCountAsAChange() throws {
    var events = try RouteEvents(tunnelsMarked: "causeway-hostgw", in: node.namespace())
    try node.sh(
      """
      for n in $(seq 0 255); do for m in $(seq 0 255); do echo "route add 10.$n.$m.0/24 dev eth0"; done; done |
        ip -batch -
      \(RouteEventTests.tunnel("x", 1)) && ip link set x alias causeway-hostgw
      """, limit: .seconds(60))
    #expect(try events.waitForChange(atMost: .seconds(10)))
    while try events.waitForChange(atMost: .milliseconds(100)) {}
    try node.sh("ip route add 11.0.0.0/24 dev eth0")
    #expect(try events.waitForChange(atMost: .seconds(10)))
    // A tunnel whose notification was lost.
    while try events.waitForChange(atMost: .milliseconds(100)) {}
    try node.sh("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 nud permanent dev x")
    #expect(try events.waitForChange(atMost: .seconds(10)))
  }
}
