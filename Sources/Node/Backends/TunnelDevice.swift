package import Addresses
package import Netlink
internal import Nodes
package import OwnNode

/// A tunnel's device as this node must have it.
package struct TunnelDevice: Sendable, Equatable {
  package let name: String
  package let mac: MACAddress
  package let mtuBytes: Int
  package let vxlan: VXLANSettings
  /// What this node sends from through the tunnel, itself and not for its pods.
  package let address: IPPrefix?

  /// The alias that tells our devices from others.
  package static let mark = "causeway-hostgw"

  /// Whether a link is a device that the helper made or took over.
  package static func isOurs(_ link: Link) -> Bool { link.vxlan != nil && link.alias == mark }

  /// Whether a link is this very tunnel; flannel confines it to the link that has the address, which harms nobody.
  func isSameTunnel(as link: Link, in state: NetworkState) -> Bool {
    guard var found = link.vxlan else { return false }
    if let index = found.linkIndex, index == vxlan.local.flatMap(state.link)?.index { found.linkIndex = nil }
    return found == vxlan
  }

  /// Whether a link without the mark was made by the helper: another end may have come between its making and its
  /// marking, or somebody has taken the mark away. Nobody else derives that address.
  func isLostOurs(_ link: Link, of node: Node) -> Bool {
    guard link.alias == nil, let found = link.vxlan, let family = vxlan.local?.family else { return false }
    return found.vni == vxlan.vni && found.port == vxlan.port
      && link.mac == node.derivedVTEPMAC(family, vni: vxlan.vni)
  }

  /// `rp_filter` that the device must have. Where the kernel drops what comes by another link than it would answer by (1
  /// on the device or on `all`), what a node sends through the tunnel is lost until both sides have decided alike.
  var reversePathFilter: UInt32? { vxlan.local?.family == .v4 ? 2 : nil }
}

/// What must be done so that one device is as it must be.
package struct DeviceRepair: Sendable, Equatable {
  package let device: TunnelDevice
  /// The link of its name, where there is one.
  package let link: Link?
  /// Whether that link must go first: what makes a tunnel can't be changed.
  package let isMadeAnew: Bool
  package let lacksAddress: Bool
  /// Addresses that the device must not have.
  package let surplusAddresses: [IPPrefix]

  /// What is to be changed on the link; `nil` where it is as it must be.
  package var change: LinkChange? {
    guard let link, !isMadeAnew else {
      return LinkChange(alias: TunnelDevice.mark, reversePathFilter: device.reversePathFilter)
    }
    let filter = link.reversePathFilter.flatMap { $0 == device.reversePathFilter ? nil : device.reversePathFilter }
    let change = LinkChange(
      isUp: link.isUp ? nil : true, mac: link.mac == device.mac ? nil : device.mac,
      mtuBytes: link.mtuBytes == device.mtuBytes ? nil : device.mtuBytes,
      alias: link.alias == TunnelDevice.mark ? nil : TunnelDevice.mark, reversePathFilter: filter)
    let isRight =
      change.isUp == nil && change.mac == nil && change.mtuBytes == nil && change.alias == nil && filter == nil
    return isRight ? nil : change
  }

  /// Whether there is nothing to do.
  var isEmpty: Bool { link != nil && !isMadeAnew && change == nil && !lacksAddress && surplusAddresses.isEmpty }
}

/// This node's tunnel devices: what must be done, what can be used now, and what is left over.
package struct DevicePlan: Sendable, Equatable {
  package private(set) var repairs: [DeviceRepair] = []
  /// Those by which routes can go, by their names.
  package private(set) var ready: [String: Link] = [:]
  /// Those that are there and can't be used yet, by their indexes.
  package private(set) var waiting: Set<Int32> = []
  /// Why others can't be had.
  package private(set) var obstacles: [String: String]
  /// Ours that nobody wants.
  package private(set) var stale: [Link] = []

  package init(_ backend: any Backend, _ own: LocalNode, _ state: NetworkState, takesOverFlannel: Bool) {
    obstacles = backend.obstacles
    for device in backend.devices {
      let link = state.links.first { $0.name == device.name }
      if let link, link.vxlan == nil {
        obstacles[device.name] = "\(link.name) is no VXLAN device, but must be one: rename it"
        continue
      }
      if let link, !TunnelDevice.isOurs(link), !device.isLostOurs(link, of: own.node), !takesOverFlannel {
        obstacles[device.name] =
          "\(link.name) is there and may be flannel's: --take-over-flannel takes it over where flannel no longer runs"
        continue
      }
      let addresses = state.addresses.filter { $0.linkIndex == link?.index && !$0.prefix.address.isLinkLocal }
      let repair = DeviceRepair(
        device: device, link: link, isMadeAnew: link.map { !device.isSameTunnel(as: $0, in: state) } ?? false,
        lacksAddress: device.address.map { address in !addresses.contains { $0.prefix == address } } ?? false,
        surplusAddresses: addresses.map(\.prefix).filter { $0 != device.address })
      if !repair.isEmpty { repairs.append(repair) }
      if let link, TunnelDevice.isOurs(link), !repair.isMadeAnew, link.isUp { ready[device.name] = link }
    }
    let names = Set(backend.devices.map(\.name) + obstacles.keys)
    waiting = Set(state.links.filter { names.contains($0.name) && ready[$0.name] == nil }.map(\.index))
    // Where this node's address is gone for the moment, nobody knows what the family's device must be.
    stale = state.links.filter { link in
      TunnelDevice.isOurs(link) && !names.contains(link.name)
        && link.vxlan?.local.flatMap { own.problems[$0.family] } == nil
    }
  }

  /// The same in the order of the names.
  package var problems: [String] { obstacles.sorted { $0.key < $1.key }.map(\.value) }
}
