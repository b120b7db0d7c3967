internal import CLinux
internal import Glibc
package import Linux

/// The kernel's notifications of links, addresses, routes, next hops, and of what is set by hand on tunnel devices:
/// neighbours and forwarding entries.
package struct RouteEvents: ~Copyable, Sendable {
  private var netlink: NetlinkSocket
  /// Asks for what notifications don't tell.
  private var links: RouteSocket
  /// The alias of the VXLAN devices whose neighbours matter. Those of other links come and go all the time.
  private let alias: String
  /// These devices.
  private var tunnels: Set<Int32> = []
  /// Whether `tunnels` may not be all that there are.
  private var isInDoubt = true
  /// Whether neighbours are listened to: only while there are tunnels.
  private var hearsNeighbours = false

  /// Subscribes in the calling thread's namespace: nothing that happens after this is missed unsaid.
  ///
  /// - Parameter alias: marks the VXLAN devices whose neighbours and forwarding entries are told of.
  package init(tunnelsMarked alias: String) throws(NetlinkError) {
    try self.init(NetlinkSocket(family: NETLINK_ROUTE), RouteSocket(), alias)
  }

  /// The same in another namespace.
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
    try self.netlink.subscribe(to: groups.map(\.rawValue), bufferBytes: 4 << 20)
    try lookForTunnels()
    try hearNeighbours()
  }

  /// Waits at most `limit` for a change and says whether one came.
  ///
  /// Notifications that were lost (ENOBUFS) or can't be read count as a change: the remedy is to look at everything again.
  ///
  /// - Parameter port: changes asked for by the sockets of this port don't count; whoever asked knows.
  package mutating func waitForChange(atMost limit: Duration, but port: UInt32? = nil) throws(NetlinkError) -> Bool {
    let deadline = MonotonicTime.now + limit
    // What is not found this time is looked for the next time.
    if isInDoubt { try? lookForTunnels() }
    repeat {
      if try hearNeighbours() { return true }
      do throws(NetlinkError) {
        let events = try netlink.notifications(waitingAtMost: max(.zero, deadline - MonotonicTime.now))
        // Each is looked at: a device may come with the one and change with the next.
        var hasChange = false
        for event in events where try counts(event) && event.port != port { hasChange = true }
        if hasChange { return true }
      } catch {
        if case .malformed = error {} else { guard error.errno == ENOBUFS else { throw error } }
        forgetWhatIsQueued()
        isInDoubt = true
        try? lookForTunnels()
        return true
      }
    } while MonotonicTime.now < deadline
    return false
  }

  private mutating func lookForTunnels() throws(NetlinkError) {
    let alias = alias
    tunnels = Set(try links.links().filter { $0.vxlan != nil && $0.alias == alias }.map(\.index))
    isInDoubt = false
  }

  /// What was told before something was lost would be taken for newer than a list of what there is.
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

  /// Listens to neighbours where there are tunnels; says whether it begins to: what came before that is to be looked at.
  @discardableResult
  private mutating func hearNeighbours() throws(NetlinkError) -> Bool {
    guard hearsNeighbours == tunnels.isEmpty else { return false }
    hearsNeighbours.toggle()
    try netlink.setMembership(of: RTNLGRP_NEIGH.rawValue, hearsNeighbours)
    return hearsNeighbours
  }

  /// Whether an event is about something that is told of.
  private mutating func counts(_ event: NetlinkReply) throws(NetlinkError) -> Bool {
    switch event.type {
    case RouteMessage.newLink, RouteMessage.deleteLink:
      let (header, attributes) = try event.body(ifinfomsg.self)
      // A bridge tells of its ports in the same words: of one that leaves it as of a link that is gone.
      if header.ifi_family == AF_BRIDGE { break }
      let kind = try attributes.nest(LinkAttribute.info)?.string(LinkAttribute.infoKind)
      if event.type == RouteMessage.newLink, kind == "vxlan", attributes.string(LinkAttribute.alias) == alias {
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
