package import Addresses
package import JSON
internal import Netlink
internal import Nodes
package import OwnNode

extension VXLANConf: BackendType {
  package static let name = "vxlan"

  package var distinguishesNeighbours: Bool { routesDirectly }

  package func backend(_ basis: BackendBasis) -> any Backend { VXLANBackend(self, basis) }

  package func data(ofNode node: String, _ family: IPFamily) -> JSONObject? {
    VXLANData(vni: vni, derivedMAC(ofNode: node, family)).object
  }

  package func problem(in data: JSONObject?, _ family: IPFamily) -> String? {
    VXLANData(data)?.problem(family, inNetwork: vni)
  }

  /// Address of a node's tunnel device if no other program gives it one: the same on every node and after every start.
  package func derivedMAC(ofNode name: String, _ family: IPFamily) -> MACAddress {
    MACAddress(localBits: stableHash("\(family) \(vni) \(name)".utf8))
  }

  /// Reads the settings from the helper's devices, and the other nodes from the entries of these.
  package static func lastKnown(in state: NetworkState) -> LastKnownBackend? {
    let devices = state.links.compactMap { link -> (link: Link, settings: VXLANSettings)? in
      guard TunnelDevice.isOurs(link), case .vxlan(let settings)? = link.tunnel else { return nil }
      return (link, settings)
    }
    guard let (first, settings) = devices.first, let family = settings.local?.family else { return nil }
    let indexes = Set(devices.map(\.link.index))
    let conf = VXLANConf(
      vni: settings.vni, port: settings.port, mtuBytes: first.mtuBytes + overhead(family),
      carriesGroupPolicy: settings.carriesGroupPolicy, learns: settings.learns,
      routesDirectly: state.routes.contains { route in
        !route.isBlackhole && !(route.linkIndex.map(indexes.contains) ?? false)
      })
    var known = LastKnownBackend(conf)
    for (link, settings) in devices {
      guard let family = settings.local?.family else { continue }
      known.ownData[family] = link.mac.map { VXLANData(vni: settings.vni, $0).object }
    }
    var macs: [IPAddress: MACAddress] = [:]
    var endpoints: [MACAddress: IPAddress] = [:]
    for entry in state.entries {
      switch entry {
      case .neighbour(let neighbour): macs[neighbour.address] = macs[neighbour.address] ?? neighbour.mac
      case .forwarding(let entry): endpoints[entry.mac] = endpoints[entry.mac] ?? entry.destination
      }
    }
    known.peer = { gateway, linkIndex in
      guard let linkIndex, indexes.contains(linkIndex), let mac = macs[gateway] else { return .init(address: gateway) }
      return .init(address: endpoints[mac] ?? gateway, data: VXLANData(vni: conf.vni, mac).object)
    }
    return known
  }
}
