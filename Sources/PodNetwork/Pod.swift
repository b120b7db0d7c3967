internal import Addresses
internal import CNI
internal import Glibc
internal import Linux
internal import Netlink

/// The inside of a pod's namespace, through a socket that was opened there.
struct Pod: ~Copyable {
  var socket: RouteSocket
  let interfaceName: String

  /// Opens the pod and sees that the name is free.
  init(
    _ namespace: borrowing NetworkNamespace, interfaceName: String, families: Set<IPFamily>
  ) throws {
    try namespace.run { () throws(SystemError) in try Pod.prepare(families) }
    socket = try RouteSocket(in: namespace)
    self.interfaceName = interfaceName
  }

  /// Sets what links that come later inherit. It runs inside the namespace.
  ///
  /// arp_notify and ndisc_notify make the kernel tell the neighbours of each new pair of address and MAC.
  private static func prepare(_ families: Set<IPFamily>) throws(SystemError) {
    try Sysctl.ensureIfPresent("net/ipv4/conf/default/arp_notify", "1")
    guard families.contains(.v6) else { return }
    try Sysctl.ensureIfPresent("net/ipv6/conf/default/ndisc_notify", "1")
    // Nobody else can have the addresses that IPAM gives out, nor the link-local ones of random MACs: no detection.
    try Sysctl.ensureIfPresent("net/ipv6/conf/default/accept_dad", "0")
    // Addresses outlive a moment in which the pod's link is down.
    try Sysctl.ensureIfPresent("net/ipv6/conf/default/keep_addr_on_down", "1")
    // Runtimes may switch IPv6 off in a new namespace; who asks for an IPv6 address wants it on.
    try Sysctl.ensureIfPresent("net/ipv6/conf/default/disable_ipv6", "0")
    try Sysctl.ensureIfPresent("net/ipv6/conf/lo/disable_ipv6", "0")
  }

  /// An ADD must not take over an interface that is there.
  mutating func checkNameIsFree() throws {
    guard try socket.link(named: interfaceName) != nil else { return }
    throw CNIError(
      .failed, "the interface \"\(interfaceName)\" already exists in the container's network namespace",
      details: "DEL the earlier attachment first, or choose another CNI_IFNAME")
  }

  /// Sets `lo` and, unless it shall stay down, the new interface up, and gives it its addresses and routes.
  mutating func configure(_ addresses: [IPPrefix], _ routes: [PodRoute], leavesDown: Bool) throws -> Link {
    guard let link = try socket.link(named: interfaceName) else {
      throw CNIError(.failed, "the interface \"\(interfaceName)\" went away while it was set up")
    }
    var requests: [NetlinkRequest] = [.changeLink(name: "lo", LinkChange(isUp: true))]
    if !leavesDown { requests.append(.changeLink(link.index, name: interfaceName, LinkChange(isUp: true))) }
    requests += addresses.map { .addAddress($0, to: link.index) }
    // Behind what is there: a pod's second network does not take the default route from its first.
    requests += routes.map { .appendRoute($0.onLink(link.index)) }
    for failure in try socket.perform(requests) {
      if let failure { throw failure }
    }
    return link
  }

  /// Tells the neighbours which MAC the addresses have from now on, as a reused address demands.
  ///
  /// To set the MAC that the link has already counts as a change of it (net/core/dev.c, `netif_set_mac_address`): the
  /// kernel then sends a gratuitous ARP and an unsolicited neighbour advertisement for each address.
  mutating func announce(_ link: Link, mac: MACAddress) throws {
    try socket.perform(.changeLink(link.index, name: interfaceName, LinkChange(mac: mac)))
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
