package import Addresses
internal import CLinux
internal import Glibc

/// An address that is reached on a link without a router between (`struct ndmsg`).
package struct Neighbour: Sendable, Equatable {
  package let address: IPAddress
  package let linkIndex: Int32

  package init(_ address: IPAddress, linkIndex: Int32) {
    self.address = address
    self.linkIndex = linkIndex
  }
}

extension RouteSocket {
  /// Forgets what was learnt about the hardware address of a neighbour, so that the next packet asks for it; what was
  /// set by hand stays (NUD_PERMANENT, NUD_NOARP). Does nothing where the kernel can't be asked for one neighbour
  /// (before 5.0).
  package mutating func forget(_ neighbour: Neighbour) throws(NetlinkError) {
    do throws(NetlinkError) {
      let (header, _) = try netlink.get(
        .neighbour("look for the neighbour", neighbour, RouteMessage.getNeighbour)
      ).body(ndmsg.self)
      guard header.ndm_state & UInt16(NUD_PERMANENT | NUD_NOARP) == 0 else { return }
      try netlink.perform(.neighbour("forget the neighbour", neighbour, RouteMessage.deleteNeighbour))
    } catch {
      // Unknown anyway, or gone meanwhile.
      if [ENOENT, ENODEV, EOPNOTSUPP].contains(error.errno) { return }
      throw error
    }
  }
}

extension NetlinkRequest {
  fileprivate static func neighbour(
    _ operation: String, _ neighbour: Neighbour, _ type: UInt16
  ) -> NetlinkRequest {
    var request = NetlinkRequest(operation, "\(neighbour.address)", type: type)
    var header = ndmsg()
    header.ndm_family = neighbour.address.family.kernelValue
    header.ndm_ifindex = neighbour.linkIndex
    request.append(header)
    request.put(NeighbourAttribute.destination, bytes: neighbour.address.bytes)
    return request
  }
}
