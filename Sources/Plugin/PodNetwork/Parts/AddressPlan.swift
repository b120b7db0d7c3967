internal import Addresses
internal import CNI
internal import IPAM
internal import NodeState

/// Addresses that an ADD asks for, and what follows from the node's lease; made before anything is touched.
struct AddressPlan: Sendable {
  /// Sets of which the pod gets one address each; empty for layer 2.
  let rangeSets: [RangeSet]
  let requested: [IPAddress]
  /// Whether the ranges are the lease's subnets: gateways may then change under running pods, and an address that any
  /// network holds is taken.
  let isFromLease: Bool
  let mtuBytes: Int?
  /// Whether the pod's packets leave the node under the node's address, unless they stay in the cluster's networks.
  let masquerades: Bool
  /// Networks of the cluster, by the lease.
  let clusterNetworks: [IPPrefix]

  /// - Throws: code 11 where there are neither ranges nor a lease.
  init(_ configuration: AttachmentConfiguration, _ lease: SubnetLease?) throws(PodNetworkError) {
    mtuBytes = configuration.interface.mtuBytes ?? lease?.mtuBytes
    // The lease says whether the node's own rules masquerade for all pods.
    masquerades = configuration.rules.masquerades ?? lease.map { !$0.masquerades } ?? false
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
      throw PodNetworkError(
        .invalidConfiguration, "mtu must be at least 1280 bytes for IPv6, but is \(mtuBytes)")
    }
  }

  func has(_ family: IPFamily) -> Bool { rangeSets.contains { $0.family == family } }
}

/// Addresses, routes and name servers that IPAM gave a pod.
struct PodAddresses: Sendable {
  var ips: [AttachmentResult.IP] = []
  var routes: [PodRoute] = []
  var dns = DNS()

  /// The addresses with their networks' lengths.
  var prefixes: [IPPrefix] { ips.map { $0.address } }
  var hosts: [IPAddress] { ips.map { $0.address.address } }
  /// Addresses for the bridge: each gateway with the length of its subnet.
  var gateways: [IPPrefix] {
    ips.compactMap { ip in ip.gateway.flatMap { IPPrefix($0, length: ip.address.length) } }
  }
}

extension PodAddresses {
  /// The addresses with the index of their interface in the result.
  func on(interface index: Int) -> PodAddresses {
    var addresses = self
    for position in addresses.ips.indices { addresses.ips[position].interface = index }
    return addresses
  }
}

extension RouteSpec {
  /// Routes of a pod: those that IPAM gave, flannel's one to each of the cluster's networks, and a default route of each
  /// family that has none among them.
  func routes(for addresses: PodAddresses, clusterNetworks: [IPPrefix]) -> [PodRoute] {
    func gateway(_ family: IPFamily) -> IPAddress? {
      addresses.ips.first { $0.address.family == family && $0.gateway != nil }?.gateway
    }
    var routes = addresses.routes
    if reachesCluster { routes += clusterNetworks.map { PodRoute($0) } }
    for index in routes.indices where routes[index].gateway == nil && routes[index].scope == nil {
      routes[index].gateway = gateway(routes[index].destination.family)
    }
    guard hasDefault else { return routes }
    for family in IPFamily.allCases {
      guard let gateway = gateway(family),
        !routes.contains(where: { $0.isDefault && $0.destination.family == family })
      else { continue }
      routes.append(PodRoute(.everything(family), via: gateway))
    }
    return routes
  }
}
