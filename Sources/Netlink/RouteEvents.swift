internal import CLinux
internal import Glibc
package import Linux

/// The kernel's notifications of links, addresses, routes, next hops, and of what is set by hand on tunnel devices:
/// neighbours and forwarding entries.
package struct RouteEvents: ~Copyable, Sendable {
  private var netlink: NetlinkSocket
  /// The VXLAN devices that there are. Neighbours of other links come and go all the time.
  private var tunnels: Set<Int32>

  /// Subscribes in the calling thread's namespace: nothing that happens after this is missed unsaid.
  package init() throws(NetlinkError) {
    let netlink = try RouteEvents.subscribed(NetlinkSocket(family: NETLINK_ROUTE))
    self.init(netlink, tunnels: try RouteEvents.tunnels(RouteSocket()))
  }

  /// The same in another namespace.
  package init(in namespace: borrowing NetworkNamespace) throws(NetlinkError) {
    let netlink = try RouteEvents.subscribed(NetlinkSocket(family: NETLINK_ROUTE, in: namespace))
    self.init(netlink, tunnels: try RouteEvents.tunnels(RouteSocket(in: namespace)))
  }

  private init(_ netlink: consuming NetlinkSocket, tunnels: Set<Int32>) {
    self.netlink = netlink
    self.tunnels = tunnels
  }

  private static func tunnels(_ socket: consuming RouteSocket) throws(NetlinkError) -> Set<Int32> {
    var socket = socket
    return Set(try socket.links().filter { $0.kind == "vxlan" }.map(\.index))
  }

  private static func subscribed(_ netlink: consuming NetlinkSocket) throws(NetlinkError) -> NetlinkSocket {
    let groups = [
      RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
      RTNLGRP_NEXTHOP, RTNLGRP_NEIGH,
    ]
    try netlink.subscribe(to: groups.map(\.rawValue), bufferBytes: 4 << 20)
    return netlink
  }

  /// Waits at most `limit` for a change and says whether one came.
  ///
  /// Notifications that were lost (ENOBUFS) or can't be read count as a change: the remedy is to look at everything again.
  ///
  /// - Parameter port: changes asked for by the sockets of this port don't count; whoever asked knows.
  package mutating func waitForChange(atMost limit: Duration, but port: UInt32? = nil) throws(NetlinkError) -> Bool {
    let deadline = MonotonicTime.now + limit
    repeat {
      do throws(NetlinkError) {
        let events = try netlink.notifications(waitingAtMost: max(.zero, deadline - MonotonicTime.now))
        // Each is looked at: a device may come with the one and change with the next.
        var hasChange = false
        for event in events where try counts(event) && event.port != port { hasChange = true }
        if hasChange { return true }
      } catch {
        if case .malformed = error { return true }
        guard error.errno == ENOBUFS else { throw error }
        return true
      }
    } while MonotonicTime.now < deadline
    return false
  }

  /// Whether an event is about something that is told of.
  private mutating func counts(_ event: NetlinkReply) throws(NetlinkError) -> Bool {
    switch event.type {
    case RouteMessage.newLink:
      let (header, attributes) = try event.body(ifinfomsg.self)
      if try attributes.nest(LinkAttribute.info)?.string(LinkAttribute.infoKind) == "vxlan" {
        tunnels.insert(header.ifi_index)
      }
    case RouteMessage.deleteLink: tunnels.remove(try event.body(ifinfomsg.self).0.ifi_index)
    case RouteMessage.newNeighbour, RouteMessage.deleteNeighbour:
      return tunnels.contains(try event.body(ndmsg.self).0.ndm_ifindex)
    default: break
    }
    return true
  }
}
