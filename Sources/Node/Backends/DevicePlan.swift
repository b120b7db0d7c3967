package import Addresses
package import Netlink
package import OwnNode

/// Changes that one device needs.
package struct DeviceRepair: Sendable, Equatable {
  /// Device that the backend needs.
  package let device: TunnelDevice
  /// Link of its name, if there is one.
  package let link: Link?
  /// Whether that link must be removed first: a tunnel's settings cannot be changed.
  package let isMadeAnew: Bool
  /// Whether the device lacks its address.
  package let lacksAddress: Bool
  /// Addresses that the device must not have.
  package let surplusAddresses: [IPPrefix]

  /// Change of the link; `nil` if it is right.
  package var change: LinkChange? {
    guard let link, !isMadeAnew else {
      return LinkChange(alias: TunnelDevice.mark, reversePathFilter: device.reversePathFilter)
    }
    let filter = link.reversePathFilter.flatMap { $0 == device.reversePathFilter ? nil : device.reversePathFilter }
    let change = LinkChange(
      isUp: link.isUp ? nil : true, mac: device.mac == link.mac ? nil : device.mac,
      mtuBytes: link.mtuBytes == device.mtuBytes ? nil : device.mtuBytes,
      alias: link.alias == TunnelDevice.mark ? nil : TunnelDevice.mark, reversePathFilter: filter)
    let isRight =
      change.isUp == nil && change.mac == nil && change.mtuBytes == nil && change.alias == nil && filter == nil
    return isRight ? nil : change
  }

  /// Whether there is nothing to do.
  var isEmpty: Bool { link != nil && !isMadeAnew && change == nil && !lacksAddress && surplusAddresses.isEmpty }
}

/// Plan of this node's tunnel devices: which need changes, which can be used now, and which are stale.
package struct DevicePlan: Sendable, Equatable {
  /// Repairs of devices, in the order in which they are made.
  package private(set) var repairs: [DeviceRepair] = []
  /// Devices that routes can use, by their names.
  package private(set) var ready: [String: Link] = [:]
  /// Indexes of devices that exist and cannot be used yet.
  package private(set) var waiting: Set<Int32> = []
  /// Reasons why other devices cannot be made, by their names.
  package private(set) var obstacles: [String: String]
  /// Devices of ours that the backend does not need.
  package private(set) var stale: [Link] = []

  package init(_ backend: any Backend, _ own: LocalNode, _ state: NetworkState, takesOverFlannel: Bool) {
    obstacles = backend.obstacles
    for device in backend.devices {
      let link = state.links.first { $0.name == device.name }
      if let link, link.tunnel?.name != device.kind.name {
        obstacles[device.name] = "\(link.name) is no \(device.kind.name) device, but must be one: rename it"
        continue
      }
      if let link, !TunnelDevice.isOurs(link), link.alias != nil || !backend.hasMade(link, for: device),
        !takesOverFlannel
      {
        obstacles[device.name] =
          "\(link.name) is there and may be flannel's: --take-over-flannel takes it over where flannel no longer runs"
        continue
      }
      let addresses = state.addresses.filter { $0.linkIndex == link?.index && !$0.prefix.address.isLinkLocal }
      let repair = DeviceRepair(
        device: device, link: link, isMadeAnew: link.map { !backend.isSameTunnel($0, as: device) } ?? false,
        lacksAddress: device.address.map { address in !addresses.contains { $0.prefix == address } } ?? false,
        surplusAddresses: addresses.map(\.prefix).filter { $0 != device.address })
      if !repair.isEmpty { repairs.append(repair) }
      if let link, TunnelDevice.isOurs(link), !repair.isMadeAnew, link.isUp { ready[device.name] = link }
    }
    let names = Set(backend.devices.map(\.name) + obstacles.keys)
    waiting = Set(state.links.filter { names.contains($0.name) && ready[$0.name] == nil }.map(\.index))
    // While this node's own address is absent, it is unknown what the family's device must be.
    stale = state.links.filter { link in
      TunnelDevice.isOurs(link) && !names.contains(link.name)
        && link.tunnel?.local.flatMap { own.problems[$0.family] } == nil
    }
  }

  /// Obstacles in the order of the devices' names.
  package var problems: [String] { obstacles.sorted { $0.key < $1.key }.map(\.value) }
}
