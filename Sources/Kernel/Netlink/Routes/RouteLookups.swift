package import Addresses
internal import CLinux
internal import Glibc

/// A unicast default route with the links that it uses.
package struct DefaultRoute: Sendable, Equatable {
  /// The address family.
  package let family: IPFamily
  /// The metric; the lowest wins.
  package let priority: UInt32
  /// The index of the link of each next hop.
  package let linkIndexes: [Int32]

  /// A default route from given values.
  package init(_ family: IPFamily, priority: UInt32 = 0, linkIndexes: [Int32]) {
    self.family = family
    self.priority = priority
    self.linkIndexes = linkIndexes
  }

  /// Reads a reply; `nil` for any other route.
  init?(_ reply: NetlinkReply, _ family: IPFamily) throws(NetlinkError) {
    let (header, attributes) = try reply.body(rtmsg.self)
    guard reply.type == RouteMessage.newRoute, header.rtm_family == family.kernelValue, header.rtm_dst_len == 0,
      header.rtm_type == UInt8(RTN_UNICAST),
      attributes.value(RouteAttribute.table) ?? UInt32(header.rtm_table) == Route.mainTable
    else { return nil }
    self.family = family
    priority = attributes.value(RouteAttribute.priority) ?? 0
    let single = attributes.value(RouteAttribute.outputLink, as: Int32.self)
    linkIndexes = single.map { [$0] } ?? DefaultRoute.links(attributes[RouteAttribute.multipath] ?? [])
  }

  /// The links of a multipath route: several `struct rtnexthop`, each followed by its attributes.
  private static func links(_ multipath: ArraySlice<UInt8>) -> [Int32] {
    var links: [Int32] = []
    var rest = multipath
    while let hop = rest.prefixValue(rtnexthop.self), hop.rtnh_len >= MemoryLayout<rtnexthop>.size {
      links.append(hop.rtnh_ifindex)
      rest = rest.dropFirst(Int(hop.rtnh_len).netlinkAligned)
    }
    return links
  }
}

/// The result of looking up one destination without listing all routes.
package enum RouteLookup: Sendable, Equatable {
  /// The main table has no route to exactly this destination.
  case absent
  /// The main table has this route; there may be others with higher metrics.
  case present(Route)
  /// A narrower route or another table matches first: only a list shows whether the route exists.
  case hidden
}

extension RouteSocket {
  /// Looks up a destination as the kernel does for a packet to its first address (RTM_F_FIB_MATCH, Linux 4.13).
  package mutating func lookUp(_ destination: IPPrefix) throws(NetlinkError) -> RouteLookup {
    var header = rtmsg()
    // IPv4 reports every table as main without RTM_F_LOOKUP_TABLE; IPv6 refuses the flag and always reports the table.
    header.rtm_flags = UInt32(RTM_F_FIB_MATCH) | (destination.family == .v4 ? UInt32(RTM_F_LOOKUP_TABLE) : 0)
    do throws(NetlinkError) {
      let reply = try netlink.get(routeRequest(destination.first, header))
      guard let found = try Route(reply), found.table == Route.mainTable,
        found.destination.length <= destination.length
      else { return .hidden }
      return found.destination == destination ? .present(found) : .absent
    } catch {
      // Routes of the types unreachable, prohibit and blackhole give other errors.
      if error.errno == ENETUNREACH { return .absent }
      if [EHOSTUNREACH, EACCES, EINVAL].contains(error.errno) { return .hidden }
      throw error
    }
  }

  private func routeRequest(_ address: IPAddress, _ header: rtmsg = rtmsg()) -> NetlinkRequest {
    var request = NetlinkRequest("look up the route to", "\(address)", type: RouteMessage.getRoute)
    var header = header
    header.rtm_family = address.family.kernelValue
    header.rtm_dst_len = UInt8(address.family.bitCount)
    request.append(header)
    request.put(RouteAttribute.destination, bytes: address.bytes)
    return request
  }

  /// The default routes of the main table in both families. The kernel cannot filter them: it sends the whole table.
  package mutating func defaultRoutes() throws(NetlinkError) -> [DefaultRoute] {
    var routes: [DefaultRoute] = []
    for family in IPFamily.allCases {
      for reply in try routeDump(family, table: Route.mainTable, owner: nil) {
        if let route = try DefaultRoute(reply, family) { routes.append(route) }
      }
    }
    return routes
  }

  /// The index of the link by which the kernel would send to an address, by all its tables and rules.
  ///
  /// For a local address it is the link that has the address, or the loopback. `nil` if there is no route.
  package mutating func linkIndex(toReach address: IPAddress) throws(NetlinkError) -> Int32? {
    do throws(NetlinkError) {
      let (header, attributes) = try netlink.get(routeRequest(address)).body(rtmsg.self)
      let types = [RTN_UNICAST, RTN_LOCAL].map { UInt8($0) }
      return types.contains(header.rtm_type) ? attributes.value(RouteAttribute.outputLink) : nil
    } catch {
      // No route, or one of the types unreachable, prohibit and blackhole.
      if [ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL].contains(error.errno) { return nil }
      throw error
    }
  }
}
