internal import CLinux
internal import Glibc
package import Linux

/// Kernel notifications of links, addresses, routes, next hops, and of the entries of tunnel devices: neighbours and
/// forwarding entries.
package struct RouteEvents: ~Copyable, Sendable {
  private var netlink: NetlinkSocket
  /// Lists links when notifications are not enough.
  private var links: RouteSocket
  /// Alias of the tunnel devices whose entries are reported. Neighbours of other links change all the time.
  private let alias: String
  /// Indexes of the devices with this alias.
  private var tunnels: Set<Int32> = []
  /// Whether `tunnels` may be incomplete.
  private var isInDoubt = true
  /// Whether the socket is subscribed to neighbours, which it is only while there are tunnels.
  private var hearsNeighbours = false

  /// Subscribes in the calling thread's namespace; changes after this are reported, or reported as lost.
  ///
  /// - Parameter alias: marks the tunnel devices whose entries are reported.
  package init(tunnelsMarked alias: String) throws(NetlinkError) {
    try self.init(NetlinkSocket(family: NETLINK_ROUTE), RouteSocket(), alias)
  }

  /// Subscribes in another namespace.
  package init(tunnelsMarked alias: String, in namespace: borrowing NetworkNamespace) throws(NetlinkError) {
    try self.init(
      NetlinkSocket(family: NETLINK_ROUTE, in: namespace), RouteSocket(in: namespace), alias)
  }

  private init(
    _ netlink: consuming NetlinkSocket, _ links: consuming RouteSocket, _ alias: String
  ) throws(NetlinkError) {
    self.netlink = netlink
    self.links = links
    self.alias = alias
    let groups = [
      RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
      RTNLGRP_NEXTHOP,
    ]
    try self.netlink.subscribe(to: groups.map { $0.rawValue }, bufferBytes: 4 << 20)
    try findTunnels()
    try hearNeighbours()
  }

  /// Waits at most `limit` for a change and returns whether one came.
  ///
  /// Lost (ENOBUFS) or malformed notifications count as a change, since the caller then reads everything again.
  ///
  /// - Parameter port: changes that sockets of this port made do not count. The kernel reports forwarding entries of a
  ///   VXLAN device as its own changes (port 0, drivers/net/vxlan/vxlan_core.c), so those do count.
  package mutating func waitForChange(atMost limit: Duration, but port: UInt32? = nil) throws(NetlinkError) -> Bool {
    let deadline = MonotonicTime.now + limit
    // A failure leaves the doubt, so that the next call tries again.
    if isInDoubt { try? findTunnels() }
    repeat {
      if try hearNeighbours() { return true }
      do throws(NetlinkError) {
        let events = try netlink.notifications(waitingAtMost: max(.zero, deadline - MonotonicTime.now))
        // All are read: a device may appear with one and change with the next.
        var hasChange = false
        for event in events where try counts(event) && event.port != port { hasChange = true }
        if hasChange { return true }
      } catch {
        if case .malformed = error {} else { guard error.errno == ENOBUFS else { throw error } }
        forgetWhatIsQueued()
        isInDoubt = true
        try? findTunnels()
        return true
      }
    } while MonotonicTime.now < deadline
    return false
  }

  private mutating func findTunnels() throws(NetlinkError) {
    let alias = alias
    tunnels = Set(try links.links().filter { $0.alias == alias && $0.tunnel != nil }.map { $0.index })
    isInDoubt = false
  }

  /// Drops queued notifications: after a loss they are older than the list that is read next.
  private mutating func forgetWhatIsQueued() {
    for _ in 0..<10_000 {
      do throws(NetlinkError) {
        if try netlink.notifications(waitingAtMost: .zero).isEmpty { return }
      } catch {
        if case .malformed = error { continue }
        guard error.errno == ENOBUFS else { return }
      }
    }
  }

  /// Subscribes to neighbours while there are tunnels. Returns whether the subscription began, since earlier changes were
  /// missed.
  @discardableResult
  private mutating func hearNeighbours() throws(NetlinkError) -> Bool {
    guard hearsNeighbours == tunnels.isEmpty else { return false }
    hearsNeighbours.toggle()
    try netlink.setMembership(of: RTNLGRP_NEIGH.rawValue, hearsNeighbours)
    return hearsNeighbours
  }

  /// Returns whether an event is a change to report.
  private mutating func counts(_ event: NetlinkReply) throws(NetlinkError) -> Bool {
    switch event.type {
    case RouteMessage.newLink, RouteMessage.deleteLink:
      let (header, attributes) = try event.body(ifinfomsg.self)
      // A bridge reports its ports by the same messages: a port that leaves looks like a link that was removed.
      if header.ifi_family == AF_BRIDGE { break }
      if event.type == RouteMessage.newLink, attributes.string(LinkAttribute.alias) == alias {
        tunnels.insert(header.ifi_index)
      } else {
        tunnels.remove(header.ifi_index)
      }
    case RouteMessage.newNeighbour, RouteMessage.deleteNeighbour:
      return tunnels.contains(try event.body(ndmsg.self).0.ndm_ifindex)
    default: break
    }
    return true
  }
}
