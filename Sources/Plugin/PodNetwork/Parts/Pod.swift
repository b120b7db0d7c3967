internal import Addresses
internal import CNI
internal import Glibc
internal import Linux
internal import Netlink

/// The inside of a pod's namespace, through a socket that was opened there.
struct Pod: ~Copyable {
  var socket: RouteSocket
  let interfaceName: String
  private let detectsDuplicates: Bool

  /// Opens a socket in the pod's namespace.
  init(
    _ namespace: borrowing NetworkNamespace, interfaceName: String, hasIPv6: Bool, detectsDuplicates: Bool
  ) throws(PodNetworkError) {
    do throws(NetlinkError) {
      socket = try RouteSocket(in: namespace) { () throws(SystemError) in
        // Links that come later inherit it.
        if hasIPv6 { try Pod.enableIPv6(of: "default", detectsDuplicates) }
      }
    } catch {
      throw .netlink(error)
    }
    self.interfaceName = interfaceName
    self.detectsDuplicates = detectsDuplicates
  }

  /// Makes the interface that is there ready for IPv6, where that was not known before.
  func enableIPv6(_ namespace: borrowing NetworkNamespace) throws(PodNetworkError) {
    let (interfaceName, detectsDuplicates) = (interfaceName, detectsDuplicates)
    try fromSystem(
      namespace.run { () throws(SystemError) in try Pod.enableIPv6(of: interfaceName, detectsDuplicates) })
  }

  /// Makes a link, or with `default` all that come later, ready for IPv6. It runs inside the namespace.
  private static func enableIPv6(of link: String, _ detectsDuplicates: Bool) throws(SystemError) {
    // The kernel announces each new pair of address and MAC to the neighbours, as `announcesIPv4` does for IPv4.
    try Sysctl.ensureIfPresent("net/ipv6/conf/\(link)/ndisc_notify", "1")
    // No other host has the addresses that IPAM gives out, nor the link-local ones of random MACs: no detection unless the
    // configuration asks for it.
    try Sysctl.ensureIfPresent("net/ipv6/conf/\(link)/accept_dad", detectsDuplicates ? "1" : "0")
    // Addresses stay while the pod's link is down for a moment.
    try Sysctl.ensureIfPresent("net/ipv6/conf/\(link)/keep_addr_on_down", "1")
    // Runtimes may switch IPv6 off in a new namespace; a pod with an IPv6 address needs it.
    try Sysctl.ensureIfPresent("net/ipv6/conf/\(link)/disable_ipv6", "0")
    try Sysctl.ensureIfPresent("net/ipv6/conf/lo/disable_ipv6", "0")
  }

  /// Checks that the pod has no interface of this name: an ADD must not take one over.
  mutating func checkNameIsFree() throws(PodNetworkError) {
    guard try fromNetlink(socket.link(named: interfaceName)) != nil else { return }
    throw PodNetworkError(
      .failed, "the interface \"\(interfaceName)\" already exists in the container's network namespace",
      details: "DEL the earlier attachment first, or choose another CNI_IFNAME")
  }

  /// Sets `lo` up and, unless it should stay down, the new interface.
  mutating func setUp(isLeftDown: Bool) throws(PodNetworkError) -> Link {
    guard let link = try fromNetlink(socket.link(named: interfaceName)) else {
      throw PodNetworkError(.failed, "the interface \"\(interfaceName)\" was removed while it was set up")
    }
    try perform([
      .changeLink(name: "lo", LinkChange(isUp: true)),
      .changeLink(link.index, name: interfaceName, LinkChange(isUp: isLeftDown ? nil : true, announcesIPv4: true)),
    ])
    return link
  }

  /// Gives the interface its addresses and routes, and permanent neighbour entries for gateways with this MAC.
  mutating func configure(
    _ link: Link, addresses: [IPPrefix], routes: [PodRoute], neighbours: [IPAddress], neighbourMAC: MACAddress
  ) throws(PodNetworkError) {
    try perform(addresses.map { .addAddress($0, to: link.index, detectsDuplicates: detectsDuplicates) })
    if detectsDuplicates { try waitUntilUsable(addresses, link) }
    for route in routes { try add(route.onLink(link.index)) }
    try perform(neighbours.map { .replaceNeighbour(StaticNeighbour($0, mac: neighbourMAC, linkIndex: link.index)) })
  }

  /// Adds a route after those that are there: a pod's second network does not take the default route from its first.
  ///
  /// Each route gets the next free metric. Among IPv6 routes of one metric the kernel would share the traffic. Among IPv4
  /// default routes it takes another gateway if it knows no MAC of one (net/ipv4/fib_semantics.c, `fib_select_default`).
  private mutating func add(_ route: Route) throws(PodNetworkError) {
    guard route.priority == nil else { return try fromNetlink(socket.perform(.appendRoute(route))) }
    let first: UInt32 = route.destination.family == .v6 ? 1024 : 0
    for metric in first..<first + 32 {
      var route = route
      route.priority = metric
      if try fromNetlink(socket.perform(.addRoute(route), accepting: EEXIST)) { return }
    }
    throw PodNetworkError(
      .failed, "the container has 32 routes to \(route.destination) already", details: "remove some of its networks")
  }

  private mutating func perform(_ requests: [NetlinkRequest]) throws(PodNetworkError) {
    for failure in try fromNetlink(socket.perform(requests)) {
      if let failure { throw .netlink(failure) }
    }
  }

  /// Waits for duplicate address detection (RFC 4862, section 5.4): one to two seconds.
  private mutating func waitUntilUsable(_ addresses: [IPPrefix], _ link: Link) throws(PodNetworkError) {
    let deadline = MonotonicTime.now + .seconds(5)
    while true {
      let pending = try fromNetlink(socket.addresses(on: link.index)).filter {
        addresses.contains($0.prefix) && !$0.isUsable
      }
      guard let first = pending.first else { return }
      if first.isDuplicate {
        throw PodNetworkError(
          .failed, "somebody else on the bridge has the address \(first.prefix)",
          details: "find it, or reserve the address in IPAM")
      }
      guard MonotonicTime.now < deadline else {
        throw PodNetworkError(.tryAgainLater, "duplicate address detection of \(first.prefix) took more than 5 seconds")
      }
      MonotonicTime.sleep(.milliseconds(20))
    }
  }

  /// Announces the MAC of the addresses to the neighbours, which may remember another pod's for a reused address.
  ///
  /// Setting the MAC that the link already has counts as a change of it (net/core/dev.c, `netif_set_mac_address`). The
  /// kernel then sends a gratuitous ARP and an unsolicited neighbour advertisement for each address.
  mutating func announce(_ link: Link, mac: MACAddress) throws(PodNetworkError) {
    try fromNetlink(socket.perform(.changeLink(link.index, name: interfaceName, LinkChange(mac: mac))))
  }
}

extension PodRoute {
  /// The kernel's route through a link of the pod.
  func onLink(_ index: Int32) -> Route {
    Route(
      destination, via: gateway, linkIndex: index, owner: Route.bootOwner, table: table ?? Route.mainTable,
      priority: priority, scope: scope, mtuBytes: mtuBytes, advertisedMSSBytes: advertisedMSSBytes)
  }
}
