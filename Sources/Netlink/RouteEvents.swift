internal import CLinux
internal import Glibc
package import Linux

/// The kernel's notifications of links, addresses, routes and next hops.
package struct RouteEvents: ~Copyable, Sendable {
  private var netlink: NetlinkSocket

  /// Subscribes in the calling thread's namespace: nothing that happens after this is missed unsaid.
  package init() throws(NetlinkError) {
    netlink = try RouteEvents.subscribed(NetlinkSocket(family: NETLINK_ROUTE))
  }

  /// The same in another namespace.
  package init(in namespace: borrowing NetworkNamespace) throws(NetlinkError) {
    netlink = try RouteEvents.subscribed(NetlinkSocket(family: NETLINK_ROUTE, in: namespace))
  }

  private static func subscribed(_ netlink: consuming NetlinkSocket) throws(NetlinkError) -> NetlinkSocket {
    let groups = [
      RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
      RTNLGRP_NEXTHOP,
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
        if events.contains(where: { $0.port != port }) { return true }
      } catch {
        if case .malformed = error { return true }
        guard error.errno == ENOBUFS else { throw error }
        return true
      }
    } while MonotonicTime.now < deadline
    return false
  }
}
