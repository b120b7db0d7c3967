internal import Addresses
internal import Attachments
internal import CNI
internal import Glibc
internal import Linux
internal import Netlink

/// The veth pair between the node, with a bridge or without, and the pod.
struct Cable {
  let hostName: String
  let hostMAC: MACAddress
  let podMAC: MACAddress

  /// Makes both ends where they belong, the host's one plugged into the bridge and up, or without bridge down.
  ///
  /// Both MACs are set at creation, so that nobody (udev's MACAddressPolicy) makes others of them.
  static func make(
    _ attachment: Attachment, podMAC: MACAddress, mtuBytes: Int?, bridge: Link?,
    namespace: borrowing NetworkNamespace, _ host: inout RouteSocket
  ) throws -> Cable {
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
          return Cable(hostName: name, hostMAC: hostMAC, podMAC: podMAC)
        }
      } catch {
        guard error.errno == EXFULL, let bridge else { throw error }
        throw CNIError(
          .tryAgainLater, "the bridge \(bridge.name) is full: the kernel gives a bridge 1,023 ports",
          details: "remove pods from this node, use another bridge for the next ones, or mode = \"routed\"")
      }
      // The host's name is taken. By a remainder of this very attachment, which nobody needs: it goes.
      if let link = try host.link(named: name), attachment.owns(link) {
        try host.perform(.removeLink(link.index, name: name), accepting: ENODEV)
        if try host.perform(request, accepting: EEXIST) {
          return Cable(hostName: name, hostMAC: hostMAC, podMAC: podMAC)
        }
      }
    }
    throw CNIError(
      .failed, "no free name for the host's end of \(attachment.interfaceName)",
      details: "\(Attachment.hostLinkAttempts) names are taken by other links, the first one "
        + attachment.hostLinkName(attempt: 0))
  }

  /// Sets what the kernel ignores when a link is made, and the end of a routed pod up.
  func finish(
    _ attachment: Attachment, _ configuration: AttachmentConfiguration, _ host: inout RouteSocket
  ) throws(NetlinkError) {
    try host.perform(
      .changeLink(
        name: hostName,
        configuration.isRouted
          ? LinkChange(isUp: true, alias: attachment.linkAlias)
          : LinkChange(
            alias: attachment.linkAlias, hairpin: configuration.hairpin, isolated: configuration.isIsolated)))
  }

  /// Waits until frames pass from the pod's end to the node and, where there is one, its bridge.
  func waitUntilForwarding(_ host: inout RouteSocket) throws { try host.waitUntilForwarding(port: hostName) }

  /// Removes the attachment's cable by its host's end; says whether there was one.
  ///
  /// Without a record the names that ADD would choose are tried; the alias tells a cable of this attachment from
  /// somebody else's link. RTM_DELLINK takes both ends.
  ///
  /// - Parameter kept: a socket whose closing would hold us up.
  static func remove(
    _ attachment: Attachment, recorded: String? = nil, keeping kept: Int32? = nil, _ host: inout RouteSocket
  ) throws(NetlinkError) -> Bool {
    let names = (0..<Attachment.hostLinkAttempts).map { attachment.hostLinkName(attempt: $0) }
    for name in recorded.map({ [$0] }) ?? names {
      guard let link = try host.link(named: name), attachment.owns(link) else { continue }
      return try host.removeLinkAtOnce(link.index, name: name, keeping: kept.map { [$0] } ?? [])
    }
    return false
  }
}

extension Attachment {
  /// Whether a link that has one of this attachment's names is its own; an ADD that was killed in its middle
  /// leaves one without an alias, which its MAC tells from another's.
  fileprivate func owns(_ link: Link) -> Bool {
    link.kind == "veth" && (link.alias == linkAlias || (link.alias == nil && link.mac == hostLinkMAC))
  }
}

extension RouteSocket {
  /// Waits until frames pass from a veth pair's other end to this one and, where this is a port, to the bridge.
  ///
  /// The carrier is there when the other end is up, but the kernel's deferred work (net/core/link_watch.c) opens the
  /// port, some microseconds later, or when all have had the kernel's lock who queue for it on a busy node; what is said
  /// until then is lost.
  mutating func waitUntilForwarding(port name: String) throws {
    let deadline = MonotonicTime.now + .seconds(5)
    while true {
      // Before the look: a process that was stopped for long looks once more.
      let isOver = MonotonicTime.now >= deadline
      guard let link = try link(named: name), !(link.isOperational && link.port?.state ?? 3 == 3) else { return }
      if link.isOperational, link.port?.isWaitingForSpanningTree == true {
        StandardError.write("\(name) forwards when the bridge's spanning tree lets it, some seconds from now")
        return
      }
      if isOver {
        throw CNIError(
          .failed, "the bridge's port \(name) does not forward within 5 seconds",
          details: "operational state \(link.operationalState), port state \(link.port?.state ?? 0); "
            + "see whether the bridge is up")
      }
      MonotonicTime.sleep(.microseconds(20))
    }
  }
}
