internal import Addresses
internal import CNI
internal import Netlink

/// The node's side of a pod's veth pair. Its two forms are a port of a bridge, and a link with routes to the pod.
protocol HostSide {
  associatedtype Spec

  /// Makes or adopts the links that must be there before the veth pair.
  init(_ spec: Spec, _ host: inout HostNetwork) throws(PodNetworkError)

  /// The bridge that the host's end becomes a port of.
  var bridgeLink: Link? { get }

  /// Sets what the kernel ignores when the pair is made, before the pod's end is up.
  ///
  /// - Parameter mayHaveIPv6: whether the pod has an IPv6 address, or may get one of a delegate.
  func finish(_ pair: VethPair, mayHaveIPv6: Bool, _ host: inout HostNetwork) throws(PodNetworkError)

  /// Puts the pod's gateways in place.
  mutating func ensureGateways(
    _ gateways: [IPPrefix], areFromLease: Bool, mtuBytes: Int?, _ host: inout HostNetwork) throws(PodNetworkError)

  /// The addresses and routes that IPAM gave, as the pod's interface gets them.
  func assigned(_ addresses: PodAddresses) -> PodAddresses

  /// Makes what leads packets to the pod's addresses. The pod's rules are in place by now.
  func addRoutes(to addresses: [IPAddress], through pair: VethPair, _ host: inout HostNetwork) throws(PodNetworkError)

  /// Gateways that the pod knows without asking, by their MAC.
  func permanentNeighbours(of addresses: PodAddresses) -> [IPAddress]

  /// Whether other hosts on the pod's link may remember another MAC for its addresses.
  var hasNeighbours: Bool { get }

  /// MAC that the pod sends to for other networks.
  func gatewayMAC(_ pair: VethPair) -> MACAddress?

  /// Removes the gateways of former leases, where this ADD found some.
  func removeOldGateways(_ leaseSource: LeaseSource, _ host: inout HostNetwork)

  /// All links of the result, in the order that chained plugins rely on.
  ///
  /// - Parameter ends: the host's end and the pod's.
  func interfaces(
    around ends: [AttachmentResult.Interface], _ version: SpecVersion, _ host: inout HostNetwork
  ) throws(PodNetworkError) -> [AttachmentResult.Interface]

  /// Checks for CHECK that everything on the node is as ADD made it.
  ///
  /// - Returns: the host's end of the pair.
  static func check(
    _ spec: Spec, _ result: AttachmentResult, _ podLink: Link, _ host: inout RouteSocket
  ) throws(PodNetworkError) -> Link
}
