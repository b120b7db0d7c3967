package import Addresses

/// Entry that is set by hand on a tunnel device, so that packets reach one other node.
package enum DeviceEntry: Sendable, Hashable {
  case neighbour(StaticNeighbour)
  case forwarding(ForwardingEntry)

  /// Key of an entry on its device: a device holds one entry for each.
  package enum Slot: Hashable {
    case neighbour(IPAddress, linkIndex: Int32)
    case forwarding(MACAddress, linkIndex: Int32)
  }

  package var slot: Slot {
    switch self {
    case .neighbour(let neighbour): .neighbour(neighbour.address, linkIndex: neighbour.linkIndex)
    case .forwarding(let entry): .forwarding(entry.mac, linkIndex: entry.linkIndex)
    }
  }

  /// Index of the device.
  package var linkIndex: Int32 {
    switch self {
    case .neighbour(let neighbour): neighbour.linkIndex
    case .forwarding(let entry): entry.linkIndex
    }
  }

  /// Address of the neighbour, or of the tunnel's other end.
  package var address: IPAddress {
    switch self {
    case .neighbour(let neighbour): neighbour.address
    case .forwarding(let entry): entry.destination
    }
  }
}

extension NetlinkRequest {
  /// Sets an entry in place of the one of the same slot.
  package static func replaceEntry(_ entry: DeviceEntry) -> NetlinkRequest {
    switch entry {
    case .neighbour(let neighbour): replaceNeighbour(neighbour)
    case .forwarding(let entry): replaceForwarding(entry)
    }
  }

  /// Removes an entry. ENOENT if it is absent.
  package static func removeEntry(_ entry: DeviceEntry) -> NetlinkRequest {
    switch entry {
    case .neighbour(let neighbour): removeNeighbour(neighbour)
    case .forwarding(let entry): removeForwarding(entry)
    }
  }
}

extension RouteSocket {
  /// Lists the entries of a tunnel device that were set by hand.
  package mutating func entries(on linkIndex: Int32) throws(NetlinkError) -> [DeviceEntry] {
    try staticNeighbours(on: linkIndex).map(DeviceEntry.neighbour)
      + forwardingEntries(on: linkIndex).map(DeviceEntry.forwarding)
  }
}
