package import Netlink
package import OwnNode

/// Finds which entries of the tunnel devices are in place; entries that no tunnel asked for are stale.
package struct TunnelEntries {
  private let present: Set<DeviceEntry>
  private var wanted: [DeviceEntry.Slot: DeviceEntry] = [:]

  package init(_ state: NetworkState) { present = Set(state.entries) }

  /// Returns the entries that a tunnel still needs; `nil` if another node's tunnel needs one of the same slot.
  package mutating func take(_ tunnel: Tunnel, on linkIndex: Int32) -> [DeviceEntry]? {
    let entries = tunnel.entries(linkIndex)
    guard entries.allSatisfy({ wanted[$0.slot] == nil || wanted[$0.slot] == $0 }) else { return nil }
    return entries.filter { wanted.updateValue($0, forKey: $0.slot) == nil && !present.contains($0) }
  }

  /// Entries that no tunnel asked for; neighbours first, each kind in the order of its addresses.
  package var stale: [DeviceEntry] {
    present.filter { wanted[$0.slot] == nil }.sorted { left, right in
      (left.isForwarding ? 1 : 0, left.address) < (right.isForwarding ? 1 : 0, right.address)
    }
  }
}

extension DeviceEntry {
  fileprivate var isForwarding: Bool {
    if case .forwarding = self { true } else { false }
  }
}
