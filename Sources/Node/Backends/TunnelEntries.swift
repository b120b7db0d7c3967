internal import Addresses
package import Netlink
package import OwnNode

/// Finds what of the tunnels' neighbours and forwarding entries is in place; what nobody asked for is left over.
package struct TunnelEntries {
  private let neighbours: Set<StaticNeighbour>
  private let forwarding: Set<ForwardingEntry>
  private var wantedNeighbours: [Key<IPAddress>: MACAddress] = [:]
  private var wantedForwarding: [Key<MACAddress>: IPAddress] = [:]

  /// A device has room for one of each.
  private struct Key<Value: Hashable>: Hashable {
    let link: Int32
    let value: Value
  }

  package init(_ state: NetworkState) {
    neighbours = Set(state.neighbours)
    forwarding = Set(state.forwarding)
  }

  /// What a tunnel needs that is not there.
  package struct Missing {
    package var neighbour: StaticNeighbour?
    package var forwarding: ForwardingEntry?
  }

  /// `nil` where another node says that the same device is its own.
  package mutating func take(_ tunnel: Tunnel, on linkIndex: Int32) -> Missing? {
    let key = Key(link: linkIndex, value: tunnel.mac)
    if let other = wantedForwarding[key], other != tunnel.endpoint { return nil }
    let isSecond = wantedForwarding.updateValue(tunnel.endpoint, forKey: key) != nil
    let isKnown =
      wantedNeighbours.updateValue(tunnel.mac, forKey: Key(link: linkIndex, value: tunnel.gateway)) != nil
    let neighbour = StaticNeighbour(tunnel.gateway, mac: tunnel.mac, linkIndex: linkIndex)
    let entry = ForwardingEntry(tunnel.mac, to: tunnel.endpoint, linkIndex: linkIndex)
    return Missing(
      neighbour: isKnown || neighbours.contains(neighbour) ? nil : neighbour,
      forwarding: isSecond || forwarding.contains(entry) ? nil : entry)
  }

  package var staleNeighbours: [StaticNeighbour] {
    neighbours.filter { wantedNeighbours[Key(link: $0.linkIndex, value: $0.address)] == nil }
      .sorted { $0.address < $1.address }
  }

  package var staleForwarding: [ForwardingEntry] {
    forwarding.filter { wantedForwarding[Key(link: $0.linkIndex, value: $0.mac)] == nil }
      .sorted { $0.destination < $1.destination }
  }
}
