internal import Addresses
internal import Attachments
internal import CNI
internal import Glibc
internal import Linux
internal import Netlink

/// The veth pair between the node, with a bridge or without, and the pod.
struct VethPair {
  let hostName: String
  /// Alias that marks the host's end as the attachment's.
  let alias: String
  let hostMAC: MACAddress
  let podMAC: MACAddress

  /// Makes both ends in their namespaces: the host's is a port of the bridge and up, or without a bridge down.
  ///
  /// Both MACs are set at creation, so that udev (MACAddressPolicy) changes none.
  static func make(
    _ attachment: Attachment, podMAC: MACAddress, mtuBytes: Int?, bridge: Link?,
    namespace: borrowing NetworkNamespace, _ host: inout RouteSocket
  ) throws(PodNetworkError) -> VethPair {
    let hostMAC = attachment.hostLinkMAC
    for attempt in 0..<Attachment.hostLinkAttempts {
      let name = attachment.hostLinkName(attempt: attempt)
      let request = NetlinkRequest.addVethPair(
        host: VethEnd(
          name: name, mac: hostMAC, mtuBytes: mtuBytes, masterIndex: bridge?.index, isUp: bridge != nil),
        pod: VethEnd(name: attachment.interfaceName, mac: podMAC, mtuBytes: mtuBytes),
        in: namespace)
      do throws(NetlinkError) {
        if try host.perform(request, accepting: EEXIST) {
          return VethPair(hostName: name, alias: attachment.linkAlias, hostMAC: hostMAC, podMAC: podMAC)
        }
      } catch {
        guard error.errno == EXFULL, let bridge else { throw .netlink(error) }
        throw PodNetworkError(
          .tryAgainLater, "the bridge \(bridge.name) is full: the kernel gives a bridge 1,023 ports",
          details: "remove pods from this node, use another bridge for the next ones, or mode = \"routed\"")
      }
      // The host's name is taken. A remainder of this attachment, which nothing needs, is removed.
      if let link = try fromNetlink(host.link(named: name)), attachment.owns(link) {
        try fromNetlink(host.perform(.removeLink(link.index, name: name), accepting: ENODEV))
        if try fromNetlink(host.perform(request, accepting: EEXIST)) {
          return VethPair(hostName: name, alias: attachment.linkAlias, hostMAC: hostMAC, podMAC: podMAC)
        }
      }
    }
    throw PodNetworkError(
      .failed, "no free name for the host's end of \(attachment.interfaceName)",
      details: "\(Attachment.hostLinkAttempts) names are taken by other links, the first one "
        + attachment.hostLinkName(attempt: 0))
  }

  /// Waits until frames pass from the pod's end to the node and, where there is one, its bridge.
  func waitUntilForwarding(_ host: inout RouteSocket) throws(PodNetworkError) {
    try host.waitUntilForwarding(port: hostName)
  }

  /// Removes the attachment's veth pair by its host's end. RTM_DELLINK removes both ends.
  ///
  /// Without a record the names that ADD would choose are tried. The alias distinguishes the attachment's link from those
  /// of others.
  ///
  /// - Parameters:
  ///   - recorded: name of the host's end by the record.
  ///   - kept: a socket whose close the kernel would delay.
  /// - Returns: whether there was one.
  static func remove(
    _ attachment: Attachment, recorded: String? = nil, keeping kept: Int32? = nil, _ host: inout RouteSocket
  ) throws(PodNetworkError) -> Bool {
    let names = (0..<Attachment.hostLinkAttempts).map { attachment.hostLinkName(attempt: $0) }
    for name in recorded.map({ [$0] }) ?? names {
      guard let link = try fromNetlink(host.link(named: name)), attachment.owns(link) else { continue }
      return try fromNetlink(host.removeLinkAtOnce(link.index, name: name, keeping: kept.map { [$0] } ?? []))
    }
    return false
  }
}

extension Attachment {
  /// Whether a link with one of this attachment's names is its own. An ADD that was killed leaves a link without an alias,
  /// which is recognised by its MAC.
  fileprivate func owns(_ link: Link) -> Bool {
    link.kind == "veth" && (link.alias == linkAlias || (link.alias == nil && link.mac == hostLinkMAC))
  }
}

extension RouteSocket {
  /// Waits until frames pass from a veth pair's other end to this one and, where this is a port, to the bridge.
  ///
  /// The carrier is there when the other end is up. The kernel's deferred work (net/core/link_watch.c) opens the port some
  /// microseconds later, or on a busy node when the kernel's lock is free. Frames that are sent before are lost.
  mutating func waitUntilForwarding(port name: String) throws(PodNetworkError) {
    let deadline = MonotonicTime.now + .seconds(5)
    while true {
      // Read before the question: a process that was stopped for long asks once more.
      let isOver = MonotonicTime.now >= deadline
      guard let link = try fromNetlink(link(named: name)), !(link.isOperational && link.port?.state ?? 3 == 3) else {
        return
      }
      if link.isOperational, link.port?.isWaitingForSpanningTree == true {
        StandardError.write("\(name) forwards when the bridge's spanning tree lets it, some seconds from now")
        return
      }
      if isOver {
        throw PodNetworkError(
          .failed, "the bridge's port \(name) does not forward within 5 seconds",
          details: "operational state \(link.operationalState), port state \(link.port?.state ?? 0); "
            + "see whether the bridge is up")
      }
      MonotonicTime.sleep(.microseconds(20))
    }
  }
}
