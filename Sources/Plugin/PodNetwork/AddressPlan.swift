internal import Addresses
internal import CNI
internal import IPAM
internal import NodeState

/// Which addresses an ADD asks for and where they come from; made before anything is touched.
struct AddressPlan: Sendable {
  /// One address of each is the pod's; empty for layer 2.
  let rangeSets: [RangeSet]
  let requested: [IPAddress]
  /// The ranges are the lease's subnets: gateways may change under running pods, and addresses that any network
  /// holds are taken.
  let isFromLease: Bool
  let mtuBytes: Int?
  /// The pod's packets leave the node under the node's address …
  let masquerades: Bool
  /// … unless they stay in the cluster's networks.
  let clusterNetworks: [IPPrefix]

  /// - Throws: code 11 where there are neither ranges nor a lease.
  init(_ configuration: AttachmentConfiguration, _ lease: SubnetLease?) throws {
    mtuBytes = configuration.mtuBytes ?? lease?.mtuBytes
    // Whoever wrote the lease said whether the node's own rules do it for all pods.
    masquerades = configuration.masquerades ?? lease.map { !$0.masquerades } ?? false
    clusterNetworks = lease?.networks ?? []
    guard let addressing = configuration.addressing else {
      rangeSets = []
      requested = []
      isFromLease = false
      return
    }
    requested = addressing.requested
    isFromLease = addressing.rangeSets.isEmpty
    rangeSets = try addressing.rangeSets(orOf: lease, configuration.leaseSource)
    // The kernel takes no IPv6 address on a link with less (RFC 8200, section 5).
    if let mtuBytes, mtuBytes < 1280, has(.v6) {
      throw CNIError(
        .invalidConfiguration, "mtu must be at least 1280 bytes for IPv6, but is \(mtuBytes)")
    }
  }

  func has(_ family: IPFamily) -> Bool { rangeSets.contains { $0.family == family } }
}

/// What IPAM gave a pod.
struct PodAddresses: Sendable {
  var ips: [AttachmentResult.IP] = []
  var routes: [PodRoute] = []
  var dns = DNS()

  var prefixes: [IPPrefix] { ips.map(\.address) }
  var hosts: [IPAddress] { ips.map(\.address.address) }
  /// The bridge's addresses: each gateway with the length of its subnet.
  var gateways: [IPPrefix] {
    ips.compactMap { ip in ip.gateway.flatMap { IPPrefix($0, length: ip.address.length) } }
  }
}

/// The routes of a pod: those that IPAM gave, flannel's one to each of the cluster's networks, and a default route of
/// each family that has none among them.
func podRoutes(
  _ configuration: AttachmentConfiguration, _ plan: AddressPlan, _ addresses: PodAddresses
) -> [PodRoute] {
  func gateway(_ family: IPFamily) -> IPAddress? {
    addresses.ips.first { $0.address.family == family && $0.gateway != nil }?.gateway
  }
  var routes = addresses.routes
  if configuration.type == .flannel { routes += plan.clusterNetworks.map { PodRoute($0) } }
  for index in routes.indices where routes[index].gateway == nil && routes[index].scope == nil {
    routes[index].gateway = gateway(routes[index].destination.family)
  }
  guard configuration.isDefaultGateway else { return routes }
  for family in IPFamily.allCases {
    guard let gateway = gateway(family),
      !routes.contains(where: { $0.isDefault && $0.destination.family == family })
    else { continue }
    routes.append(PodRoute(.everything(family), via: gateway))
  }
  return routes
}
