package import Addresses
internal import CLinux
internal import Glibc

/// Neighbour whose hardware address was set by hand (NUD_PERMANENT): it is never resolved and never forgotten.
package struct StaticNeighbour: Sendable, Equatable, Hashable {
  package let address: IPAddress
  package let mac: MACAddress
  package let linkIndex: Int32

  package init(_ address: IPAddress, mac: MACAddress, linkIndex: Int32) {
    self.address = address
    self.mac = mac
    self.linkIndex = linkIndex
  }
}

/// Entry of a VXLAN device's forwarding database: where it sends frames for a MAC address (NTF_SELF, NUD_PERMANENT).
package struct ForwardingEntry: Sendable, Equatable, Hashable {
  package let mac: MACAddress
  /// Address of the tunnel's other end.
  package let destination: IPAddress
  package let linkIndex: Int32
  /// UDP port; `nil` for the device's own.
  package var port: UInt16?
  /// VXLAN network identifier; `nil` for the device's own.
  package var vni: UInt32?
  /// Index of the only link that packets to there may use; `nil` for the device's own.
  package var outputLinkIndex: Int32?

  package init(
    _ mac: MACAddress, to destination: IPAddress, linkIndex: Int32, port: UInt16? = nil, vni: UInt32? = nil,
    outputLinkIndex: Int32? = nil
  ) {
    self.mac = mac
    self.destination = destination
    self.linkIndex = linkIndex
    self.port = port
    self.vni = vni
    self.outputLinkIndex = outputLinkIndex
  }
}

extension NetlinkRequest {
  /// Sets a neighbour's hardware address in place of any other.
  package static func replaceNeighbour(_ neighbour: StaticNeighbour) -> NetlinkRequest {
    self.neighbour("set the neighbour", neighbour, RouteMessage.newNeighbour, NetlinkFlag.create | NetlinkFlag.replace)
  }

  /// Removes a neighbour. ENOENT if it is absent.
  package static func removeNeighbour(_ neighbour: StaticNeighbour) -> NetlinkRequest {
    self.neighbour("remove the neighbour", neighbour, RouteMessage.deleteNeighbour, 0)
  }

  /// Sets the other end for a MAC address in place of any other. EOPNOTSUPP if the link is no VXLAN device.
  package static func replaceForwarding(_ entry: ForwardingEntry) -> NetlinkRequest {
    forwarding("set the forwarding entry", entry, RouteMessage.newNeighbour, NetlinkFlag.create | NetlinkFlag.replace)
  }

  /// Removes an entry. ENOENT if it is absent.
  package static func removeForwarding(_ entry: ForwardingEntry) -> NetlinkRequest {
    forwarding("remove the forwarding entry", entry, RouteMessage.deleteNeighbour, 0)
  }

  private static func neighbour(
    _ operation: String, _ neighbour: StaticNeighbour, _ type: UInt16, _ flags: UInt16
  ) -> NetlinkRequest {
    var request = self.neighbour(
      operation, Neighbour(neighbour.address, linkIndex: neighbour.linkIndex), type, flags, state: UInt16(NUD_PERMANENT)
    )
    request.put(NeighbourAttribute.hardwareAddress, bytes: neighbour.mac.bytes)
    return request
  }

  private static func forwarding(
    _ operation: String, _ entry: ForwardingEntry, _ type: UInt16, _ flags: UInt16
  ) -> NetlinkRequest {
    var request = NetlinkRequest(operation, "\(entry.mac) to \(entry.destination)", type: type, flags: flags)
    var header = ndmsg()
    header.ndm_family = UInt8(AF_BRIDGE)
    header.ndm_ifindex = entry.linkIndex
    header.ndm_state = UInt16(NUD_PERMANENT)
    header.ndm_flags = UInt8(NTF_SELF)
    request.append(header)
    request.put(NeighbourAttribute.hardwareAddress, bytes: entry.mac.bytes)
    request.put(NeighbourAttribute.destination, bytes: entry.destination.bytes)
    if let port = entry.port { request.put(NeighbourAttribute.port, bigEndian: port) }
    if let vni = entry.vni { request.put(NeighbourAttribute.vni, vni) }
    if let index = entry.outputLinkIndex { request.put(NeighbourAttribute.link, index) }
    return request
  }
}

extension RouteSocket {
  /// Lists the neighbours of a link that were set by hand.
  package mutating func staticNeighbours(on linkIndex: Int32) throws(NetlinkError) -> [StaticNeighbour] {
    var neighbours: [StaticNeighbour] = []
    for family in IPFamily.allCases {
      for (header, attributes) in try neighbourEntries(family.kernelValue, on: linkIndex, "the \(family) neighbours") {
        guard header.ndm_state & UInt16(NUD_PERMANENT) != 0, header.ndm_family == family.kernelValue,
          let address = attributes.address(NeighbourAttribute.destination),
          let mac = attributes[NeighbourAttribute.hardwareAddress].flatMap({ MACAddress(bytes: $0) })
        else { continue }
        neighbours.append(StaticNeighbour(address, mac: mac, linkIndex: linkIndex))
      }
    }
    return neighbours
  }

  /// Lists the forwarding entries of a VXLAN device that were set by hand.
  package mutating func forwardingEntries(on linkIndex: Int32) throws(NetlinkError) -> [ForwardingEntry] {
    var entries: [ForwardingEntry] = []
    for (header, attributes) in try neighbourEntries(UInt8(AF_BRIDGE), on: linkIndex, "the forwarding entries") {
      guard header.ndm_state & UInt16(NUD_PERMANENT) != 0,
        let mac = attributes[NeighbourAttribute.hardwareAddress].flatMap({ MACAddress(bytes: $0) }),
        let destination = attributes.address(NeighbourAttribute.destination)
      else { continue }
      // The kernel reports only values that differ from the device's own (drivers/net/vxlan/vxlan_core.c,
      // `vxlan_fdb_info`).
      entries.append(
        ForwardingEntry(
          mac, to: destination, linkIndex: linkIndex,
          port: attributes.value(NeighbourAttribute.port).map { UInt16(bigEndian: $0) },
          vni: attributes.value(NeighbourAttribute.vni), outputLinkIndex: attributes.value(NeighbourAttribute.link)))
    }
    return entries
  }
}
