package import Addresses
internal import CLinux
internal import Glibc

/// A unicast route of the kernel (`struct rtmsg` and RTA_* attributes).
package struct Route: Sendable, Equatable, Hashable {
  /// RTPROT_BOOT, what routes have that nobody claims.
  package static let bootOwner: UInt8 = 3
  /// RT_TABLE_MAIN.
  package static let mainTable: UInt32 = 254
  /// RT_SCOPE_LINK: what is reached on the link itself.
  package static let linkScope = UInt8(RT_SCOPE_LINK.rawValue)
  /// RTN_UNICAST: packets are forwarded.
  package static let unicastType = UInt8(RTN_UNICAST)
  /// RTN_BLACKHOLE: packets are dropped.
  package static let blackholeType = UInt8(RTN_BLACKHOLE)

  package var destination: IPPrefix
  package var gateway: IPAddress?
  package var linkIndex: Int32?
  /// The next-hop object that stands for gateway and link.
  package var nextHopID: UInt32?
  /// `rtm_protocol`: who put it there.
  package var owner: UInt8
  package var table: UInt32
  /// The metric; lower wins. The kernel takes 0 for IPv4 and 1,024 for IPv6 where none is given.
  package var priority: UInt32?
  /// RT_SCOPE_*: 0 global, 253 link.
  package var scope: UInt8
  /// RTN_*, such as `unicastType`.
  package var type: UInt8
  package var mtuBytes: UInt32?
  package var advertisedMSSBytes: UInt32?
  /// The gateway counts as a neighbour on the link though no network of the link holds it (RTNH_F_ONLINK).
  package var isOnLink: Bool

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
    // IPv4 takes a route without gateway only where its scope is narrower than global (net/ipv4/fib_semantics.c).
    let hasNoGateway = gateway == nil && nextHopID == nil && type == Route.unicastType
    self.scope = scope ?? (hasNoGateway && destination.family == .v4 ? Route.linkScope : 0)
    self.type = type
    self.mtuBytes = mtuBytes
    self.advertisedMSSBytes = advertisedMSSBytes
    self.isOnLink = isOnLink
  }

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
    // An IPv4 route may have an IPv6 next hop (RFC 8950); RTA_VIA begins with the family's two bytes.
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
  /// Adds a route. EEXIST where one of the same destination and metric is there, whoever put it there.
  package static func addRoute(_ route: Route) -> NetlinkRequest {
    self.route("add the route", route, RouteMessage.newRoute, NetlinkFlag.create | NetlinkFlag.exclusive)
  }

  /// Adds a route behind those of the same destination and metric. EEXIST where the very same one is there.
  package static func appendRoute(_ route: Route) -> NetlinkRequest {
    self.route("add the route", route, RouteMessage.newRoute, NetlinkFlag.create | NetlinkFlag.append)
  }

  /// Puts a route in place of the one of the same destination and metric, without a moment between.
  ///
  /// It overwrites whatever is there: only for what is known to be ours.
  package static func replaceRoute(_ route: Route) -> NetlinkRequest {
    self.route("replace the route", route, RouteMessage.newRoute, NetlinkFlag.create | NetlinkFlag.replace)
  }

  /// Removes the route that agrees in everything given. ESRCH where there is none.
  package static func removeRoute(_ route: Route) -> NetlinkRequest {
    self.route("remove the route", route, RouteMessage.deleteRoute, 0)
  }

  private static func route(
    _ operation: String, _ route: Route, _ type: UInt16, _ flags: UInt16
  ) -> NetlinkRequest {
    var request = NetlinkRequest(operation, route.destination.description, type: type, flags: flags)
    var header = rtmsg()
    header.rtm_family = route.destination.family.kernelValue
    header.rtm_dst_len = UInt8(clamping: route.destination.length)
    // The old eight-bit field cannot hold large tables; RTA_TABLE rules.
    header.rtm_table = route.table < 256 ? UInt8(route.table) : UInt8(RT_TABLE_COMPAT.rawValue)
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
  /// An IPv4 route may have an IPv6 gateway (RFC 8950), but not in RTA_GATEWAY: the kernel would read four bytes of it.
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
  /// The routes of both families; with an owner only that protocol's, with a table only that table's.
  package mutating func routes(
    owner: UInt8? = nil, table: UInt32? = nil, families: [IPFamily] = IPFamily.allCases
  ) throws(NetlinkError) -> [Route] {
    var routes: [Route] = []
    for family in families {
      for reply in try routeDump(family, table: table, owner: owner) where reply.type == RouteMessage.newRoute {
        // A kernel without strict checking (before 4.20) sends all of them; a kernel without IPv6 sends IPv4's.
        guard let route = try Route(reply), route.destination.family == family,
          owner == nil || route.owner == owner, table == nil || route.table == table
        else { continue }
        routes.append(route)
      }
    }
    return routes
  }

  /// What the kernel sends when it is asked for these routes; an older one sends others too.
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
      // A table comes into being with its first route, for each family on its own.
      if error.errno == ENOENT { return [] }
      throw error
    }
  }
}
