package import Addresses
internal import CLinux
internal import Glibc

/// Address that is reached on a link without a router (`struct ndmsg`).
package struct Neighbour: Sendable, Equatable {
  package let address: IPAddress
  package let linkIndex: Int32

  package init(_ address: IPAddress, linkIndex: Int32) {
    self.address = address
    self.linkIndex = linkIndex
  }
}

extension RouteSocket {
  /// Removes the hardware address that was learnt of a neighbour, so that the next packet resolves it again. Entries
  /// set by hand stay (NUD_PERMANENT, NUD_NOARP). Does nothing if the kernel cannot be asked for one neighbour (before
  /// 5.0).
  package mutating func forget(_ neighbour: Neighbour) throws(NetlinkError) {
    do throws(NetlinkError) {
      let (header, _) = try netlink.get(
        .neighbour("look for the neighbour", neighbour, RouteMessage.getNeighbour)
      ).body(ndmsg.self)
      guard header.ndm_state & UInt16(NUD_PERMANENT | NUD_NOARP) == 0 else { return }
      try netlink.perform(.neighbour("forget the neighbour", neighbour, RouteMessage.deleteNeighbour))
    } catch {
      // Unknown, or removed meanwhile.
      if [ENOENT, ENODEV, EOPNOTSUPP].contains(error.errno) { return }
      throw error
    }
  }
}

extension RouteSocket {
  /// Lists the addresses that are answered for on any link (NTF_PROXY).
  package mutating func answers() throws(NetlinkError) -> [Neighbour] {
    var found: [Neighbour] = []
    for family in IPFamily.allCases {
      let entry = UInt8(NTF_PROXY)
      for (header, attributes) in try neighbourEntries(family.kernelValue, entry: entry, "the \(family) answers")
      where header.ndm_flags & entry != 0 {
        guard let address = attributes.address(NeighbourAttribute.destination) else { continue }
        found.append(Neighbour(address, linkIndex: header.ndm_ifindex))
      }
    }
    return found
  }

  /// Lists the entries of a family and kind (NTF_PROXY, or 0 for the others), of one link or of all.
  mutating func neighbourEntries(
    _ family: UInt8, on linkIndex: Int32? = nil, entry: UInt8 = 0, _ what: String
  ) throws(NetlinkError) -> [(ndmsg, Attributes)] {
    var request = NetlinkRequest("list", what, type: RouteMessage.getNeighbour)
    var header = ndmsg()
    header.ndm_family = family
    header.ndm_flags = entry
    request.append(header)
    // Strict checking accepts the link only here, for neighbours as for forwarding entries (net/core/neighbour.c,
    // `neigh_valid_dump_req`; net/core/rtnetlink.c, `valid_fdb_dump_strict`).
    if let linkIndex { request.put(NeighbourAttribute.link, linkIndex) }
    var found: [(ndmsg, Attributes)] = []
    for reply in try netlink.dump(request) where reply.type == RouteMessage.newNeighbour {
      let (header, attributes) = try reply.body(ndmsg.self)
      if linkIndex == nil || header.ndm_ifindex == linkIndex { found.append((header, attributes)) }
    }
    return found
  }
}

extension NetlinkRequest {
  /// Answers on a link for an address that is reached by another (NTF_PROXY). The node must forward, and for IPv6 the
  /// link's `proxy_ndp` must be set (net/ipv4/arp.c, `arp_process`; net/ipv6/ndisc.c, `ndisc_recv_ns`).
  package static func answer(for neighbour: Neighbour) -> NetlinkRequest {
    self.neighbour(
      "answer for", neighbour, RouteMessage.newNeighbour, NetlinkFlag.create | NetlinkFlag.replace,
      entry: UInt8(NTF_PROXY))
  }

  /// Stops answering for an address. ENOENT if there was no such answer.
  package static func stopAnswering(for neighbour: Neighbour) -> NetlinkRequest {
    self.neighbour("stop to answer for", neighbour, RouteMessage.deleteNeighbour, entry: UInt8(NTF_PROXY))
  }

  static func neighbour(
    _ operation: String, _ neighbour: Neighbour, _ type: UInt16, _ flags: UInt16 = 0, entry: UInt8 = 0,
    state: UInt16 = 0
  ) -> NetlinkRequest {
    var request = NetlinkRequest(operation, "\(neighbour.address)", type: type, flags: flags)
    var header = ndmsg()
    header.ndm_flags = entry
    header.ndm_state = state
    header.ndm_family = neighbour.address.family.kernelValue
    header.ndm_ifindex = neighbour.linkIndex
    request.append(header)
    request.put(NeighbourAttribute.destination, bytes: neighbour.address.bytes)
    return request
  }
}
