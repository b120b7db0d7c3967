package import Addresses
internal import CLinux
internal import Glibc

/// A route of the kernel (`struct rtmsg` and RTA_* attributes).
package struct Route: Sendable, Equatable, Hashable {
  /// The protocol of routes that were added without one (RTPROT_BOOT).
  package static let bootOwner = UInt8(RTPROT_BOOT)
  /// The main routing table (RT_TABLE_MAIN).
  package static let mainTable = UInt32(RT_TABLE_MAIN.rawValue)
  /// The scope of destinations on the link itself (RT_SCOPE_LINK).
  package static let linkScope = UInt8(RT_SCOPE_LINK.rawValue)
  /// The type of routes that forward packets (RTN_UNICAST).
  package static let unicastType = UInt8(RTN_UNICAST)
  /// The type of routes that drop packets (RTN_BLACKHOLE).
  package static let blackholeType = UInt8(RTN_BLACKHOLE)

  /// The destination, without host bits.
  package var destination: IPPrefix
  /// The gateway; `nil` if the destination is on the link, or if a next-hop object names the gateway.
  package var gateway: IPAddress?
  /// The index of the link that packets leave by.
  package var linkIndex: Int32?
  /// The ID of the next-hop object that gives gateway and link (RTA_NH_ID).
  package var nextHopID: UInt32?
  /// The protocol that added the route (`rtm_protocol`).
  package var owner: UInt8
  /// The routing table.
  package var table: UInt32
  /// The metric; the lowest wins. If none is given the kernel uses 0 for IPv4 and 1,024 for IPv6.
  package var priority: UInt32?
  /// The scope, an RT_SCOPE_* number: 0 global, 253 link.
  package var scope: UInt8
  /// The route type, an RTN_* number such as `unicastType`.
  package var type: UInt8
  /// The path MTU in bytes (RTAX_MTU).
  package var mtuBytes: UInt32?
  /// The TCP MSS to announce, in bytes (RTAX_ADVMSS).
  package var advertisedMSSBytes: UInt32?
  /// Whether the gateway counts as on-link although no network of the link contains it (RTNH_F_ONLINK).
  package var isOnLink: Bool

  /// A route from given values; without a scope it has the one that the kernel expects for its gateway.
  package init(
    _ destination: IPPrefix, via gateway: IPAddress? = nil, linkIndex: Int32? = nil, nextHopID: UInt32? = nil,
    owner: UInt8, table: UInt32 = Route.mainTable, priority: UInt32? = nil, scope: UInt8? = nil,
    type: UInt8 = Route.unicastType, mtuBytes: UInt32? = nil, advertisedMSSBytes: UInt32? = nil, isOnLink: Bool = false
  ) {
    self.destination = destination
    self.gateway = gateway
    self.linkIndex = linkIndex
    self.nextHopID = nextHopID
    self.owner = owner
    self.table = table
    self.priority = priority
    // IPv4 accepts a route without a gateway only with a scope narrower than global (net/ipv4/fib_semantics.c).
    let hasNoGateway = gateway == nil && nextHopID == nil && type == Route.unicastType
    self.scope = scope ?? (hasNoGateway && destination.family == .v4 ? Route.linkScope : 0)
    self.type = type
    self.mtuBytes = mtuBytes
    self.advertisedMSSBytes = advertisedMSSBytes
    self.isOnLink = isOnLink
  }

  /// Whether the route drops packets.
  package var isBlackhole: Bool { type == Route.blackholeType }

  init?(_ reply: NetlinkReply) throws(NetlinkError) {
    let (header, attributes) = try reply.body(rtmsg.self)
    let family: IPFamily
    switch Int32(header.rtm_family) {
    case AF_INET: family = .v4
    case AF_INET6: family = .v6
    default: return nil
    }
    let base = attributes.address(RouteAttribute.destination)
    guard
      let destination = IPPrefix(base ?? IPPrefix.everything(family).address, length: Int(header.rtm_dst_len))
    else { return nil }
    let metrics = try attributes.nest(RouteAttribute.metrics)
    self.destination = destination
    // An IPv4 route may have an IPv6 next hop (RFC 8950); RTA_VIA begins with two bytes of family (`struct rtvia`).
    gateway =
      attributes.address(RouteAttribute.gateway)
      ?? attributes[RouteAttribute.via].flatMap { IPAddress(bytes: $0.dropFirst(2)) }
    linkIndex = attributes.value(RouteAttribute.outputLink)
    nextHopID = attributes.value(RouteAttribute.nextHop)
    owner = header.rtm_protocol
    table = attributes.value(RouteAttribute.table) ?? UInt32(header.rtm_table)
    priority = attributes.value(RouteAttribute.priority)
    scope = header.rtm_scope
    type = header.rtm_type
    mtuBytes = metrics?.value(RouteAttribute.mtu)
    advertisedMSSBytes = metrics?.value(RouteAttribute.advertisedMSS)
    isOnLink = header.rtm_flags & UInt32(RTNH_F_ONLINK) != 0
  }
}

extension NetlinkRequest {
  /// Adds a route. EEXIST if there is one of the same destination and metric, whatever its protocol.
  package static func addRoute(_ route: Route) -> NetlinkRequest {
    self.route(
      "add the route", route, type: RouteMessage.newRoute, flags: NetlinkFlag.create | NetlinkFlag.exclusive)
  }

  /// Adds a route after others of the same destination and metric. EEXIST if there is an identical one.
  package static func appendRoute(_ route: Route) -> NetlinkRequest {
    self.route("add the route", route, type: RouteMessage.newRoute, flags: NetlinkFlag.create | NetlinkFlag.append)
  }

  /// Replaces the route of the same destination and metric atomically, or adds it.
  ///
  /// The request overwrites routes of any protocol: it must be used only if the present route is known to be ours.
  package static func replaceRoute(_ route: Route) -> NetlinkRequest {
    self.route("replace the route", route, type: RouteMessage.newRoute, flags: NetlinkFlag.create | NetlinkFlag.replace)
  }

  /// Removes the route that has all the given values. ESRCH if there is none.
  package static func removeRoute(_ route: Route) -> NetlinkRequest {
    self.route("remove the route", route, type: RouteMessage.deleteRoute, flags: 0)
  }

  private static func route(
    _ operation: String, _ route: Route, type: UInt16, flags: UInt16
  ) -> NetlinkRequest {
    var request = NetlinkRequest(operation, route.destination.description, type: type, flags: flags)
    var header = rtmsg()
    header.rtm_family = route.destination.family.kernelValue
    header.rtm_dst_len = UInt8(clamping: route.destination.length)
    // The header's field has only eight bits; RTA_TABLE has precedence.
    header.rtm_table = UInt8(exactly: route.table) ?? UInt8(RT_TABLE_COMPAT.rawValue)
    header.rtm_protocol = route.owner
    header.rtm_scope = route.scope
    header.rtm_type = route.type
    if route.isOnLink { header.rtm_flags = UInt32(RTNH_F_ONLINK) }
    request.append(header)
    request.put(RouteAttribute.destination, bytes: route.destination.address.bytes)
    request.put(RouteAttribute.table, route.table)
    if let gateway = route.gateway { request.put(gateway, of: route.destination.family) }
    if let linkIndex = route.linkIndex { request.put(RouteAttribute.outputLink, linkIndex) }
    if let nextHopID = route.nextHopID { request.put(RouteAttribute.nextHop, nextHopID) }
    if let priority = route.priority { request.put(RouteAttribute.priority, priority) }
    if route.mtuBytes != nil || route.advertisedMSSBytes != nil {
      request.nest(RouteAttribute.metrics) { metrics in
        if let mtu = route.mtuBytes { metrics.put(RouteAttribute.mtu, mtu) }
        if let mss = route.advertisedMSSBytes { metrics.put(RouteAttribute.advertisedMSS, mss) }
      }
    }
    return request
  }
}

extension NetlinkRequest {
  /// Adds the gateway. An IPv6 gateway of an IPv4 route (RFC 8950) needs RTA_VIA: of RTA_GATEWAY the kernel would read
  /// four bytes only.
  fileprivate mutating func put(_ gateway: IPAddress, of family: IPFamily) {
    if gateway.family == family {
      put(RouteAttribute.gateway, bytes: gateway.bytes)
    } else {
      // `struct rtvia`: two bytes of family, then the address.
      let kernelFamily = unsafe withUnsafeBytes(of: UInt16(gateway.family.kernelValue)) { unsafe Array($0) }
      put(RouteAttribute.via, bytes: kernelFamily + gateway.bytes)
    }
  }
}

extension RouteSocket {
  /// Lists routes.
  ///
  /// - Parameters:
  ///   - owner: the protocol to list; `nil` for all.
  ///   - table: the table to list; `nil` for all.
  package mutating func routes(
    owner: UInt8? = nil, table: UInt32? = nil, families: [IPFamily] = IPFamily.allCases
  ) throws(NetlinkError) -> [Route] {
    var routes: [Route] = []
    for family in families {
      for reply in try routeDump(family, table: table, owner: owner) where reply.type == RouteMessage.newRoute {
        // A kernel without strict checking (before 4.20) sends all routes; a kernel without IPv6 sends those of IPv4.
        guard let route = try Route(reply), route.destination.family == family,
          owner == nil || route.owner == owner, table == nil || route.table == table
        else { continue }
        routes.append(route)
      }
    }
    return routes
  }

  /// The kernel's replies to a request for these routes; an older kernel sends others too.
  mutating func routeDump(
    _ family: IPFamily, table: UInt32?, owner: UInt8?
  ) throws(NetlinkError) -> [NetlinkReply] {
    var request = NetlinkRequest("list", "the \(family) routes", type: RouteMessage.getRoute)
    var header = rtmsg()
    header.rtm_family = family.kernelValue
    header.rtm_protocol = owner ?? 0
    request.append(header)
    if let table { request.put(RouteAttribute.table, table) }
    do throws(NetlinkError) {
      return try netlink.dump(request)
    } catch {
      // A table exists from its first route on, separately for each family.
      if error.errno == ENOENT { return [] }
      throw error
    }
  }
}
