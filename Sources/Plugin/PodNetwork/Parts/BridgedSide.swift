internal import Addresses
internal import CNI
internal import Netlink

/// The node's side of a pod on a bridge.
struct BridgedSide: HostSide {
  private let spec: BridgedSpec
  private let bridge: Bridge
  /// The node's own port in the pod's VLAN, which carries the gateways' addresses instead of the bridge.
  private var gatewayPort: Link?
  private var mayHaveOldGateways = false

  init(_ spec: BridgedSpec, _ host: inout HostNetwork) throws(PodNetworkError) {
    self.spec = spec
    bridge = try Bridge.ensure(spec.bridge, &host)
    if let vlans = spec.port.vlans { try bridge.ensureVLANFilter(vlans, &host) }
  }

  var bridgeLink: Link? { bridge.link }

  var hasNeighbours: Bool { true }

  func finish(_ pair: VethPair, mayHaveIPv6: Bool, _ host: inout HostNetwork) throws(PodNetworkError) {
    try fromNetlink(
      host.socket.perform(
        .changeLink(
          name: pair.hostName,
          LinkChange(alias: pair.alias, hairpin: spec.port.hairpin, isolated: spec.port.isIsolated))))
    try spec.port.vlans?.join(pair, to: bridge, &host.socket)
  }

  mutating func ensureGateways(
    _ gateways: [IPPrefix], areFromLease: Bool, mtuBytes: Int?, _ host: inout HostNetwork
  ) throws(PodNetworkError) {
    guard spec.gateways.isEnabled else { return }
    if !gateways.isEmpty, let id = spec.port.vlans?.id {
      gatewayPort = try bridge.ensureGatewayPort(in: VLANs(only: id), mtuBytes: mtuBytes, &host)
    }
    let hasOthers = try bridge.ensureGateways(
      gateways, spec.gateways, on: gatewayPort ?? bridge.link, areFromLease: areFromLease, &host)
    mayHaveOldGateways = areFromLease && hasOthers
  }

  func assigned(_ addresses: PodAddresses) -> PodAddresses { addresses.on(interface: BridgedSide.podIndex) }

  func addRoutes(to addresses: [IPAddress], through pair: VethPair, _ host: inout HostNetwork) {}

  func permanentNeighbours(of addresses: PodAddresses) -> [IPAddress] { [] }

  func gatewayMAC(_ pair: VethPair) -> MACAddress? { bridge.mac }

  func removeOldGateways(_ leaseSource: LeaseSource, _ host: inout HostNetwork) {
    guard mayHaveOldGateways else { return }
    PodNetwork.removeOldGateways(of: leaseSource, on: spec.gateways.link, host.state, &host.socket)
  }

  func interfaces(
    around ends: [AttachmentResult.Interface], _ version: SpecVersion, _ host: inout HostNetwork
  ) throws(PodNetworkError) -> [AttachmentResult.Interface] {
    var interfaces = [try host.socket.interface(bridge.link, mac: bridge.mac, version)] + ends
    if let gatewayPort { interfaces.append(try host.socket.interface(gatewayPort, mac: gatewayPort.mac, version)) }
    return interfaces
  }

  /// Index of the pod's interface in the result, behind the bridge and the host's end.
  private static let podIndex = 2
}

extension BridgedSide {
  static func check(
    _ spec: BridgedSpec, _ result: AttachmentResult, _ podLink: Link, _ host: inout RouteSocket
  ) throws(PodNetworkError) -> Link {
    guard let bridge = try fromNetlink(host.link(named: spec.bridge.name)), bridge.kind == "bridge" else {
      throw fault("the bridge \"\(spec.bridge.name)\" is gone")
    }
    guard bridge.isUp else { throw fault("the bridge \"\(bridge.name)\" is down") }
    guard let peerIndex = podLink.peerIndex, let port = try fromNetlink(host.link(index: peerIndex)) else {
      throw fault("the host's end of \"\(podLink.name)\" is gone")
    }
    guard port.masterIndex == bridge.index else {
      throw fault("\(port.name), the host's end of \"\(podLink.name)\", is not a port of \"\(bridge.name)\"")
    }
    guard port.isUp else { throw fault("\(port.name), the host's end of \"\(podLink.name)\", is down") }
    if let entry = result.interfaces.first(where: { $0.name == port.name && $0.sandbox.isEmpty }),
      let mac = MACAddress(entry.mac), let now = port.mac, mac != now
    {
      throw fault("the MAC of \(port.name) is \(now), not \(mac)")
    }
    try spec.port.vlans?.check(port, of: bridge, &host)
    let gateways = spec.gateways.isEnabled ? result.ips.compactMap { $0.gateway } : []
    guard !gateways.isEmpty else { return port }
    let gatewayLink = try spec.port.vlans?.checkedGatewayPort(of: bridge, &host) ?? bridge
    let present = Set(try fromNetlink(host.addresses(on: gatewayLink.index)).map { $0.prefix.address })
    for gateway in gateways where !present.contains(gateway) {
      throw fault("\"\(gatewayLink.name)\" has lost the gateway's address \(gateway)")
    }
    return port
  }
}

extension RouteSocket {
  /// A link of the result as it is now: a bridge's MTU follows its ports. Versions without MTU save the request.
  fileprivate mutating func interface(
    _ link: Link, mac: MACAddress?, _ version: SpecVersion
  ) throws(PodNetworkError) -> AttachmentResult.Interface {
    let now = AttachmentResult.includesMTU(version) ? try fromNetlink(self.link(index: link.index)) : nil
    return .init(
      name: link.name, mac: (now?.mac ?? mac)?.description ?? "", mtuBytes: now?.mtuBytes ?? link.mtuBytes)
  }
}
