internal import Addresses
internal import Attachments
internal import Glibc
internal import IPAM
internal import Linux
internal import Netlink
internal import NodeState

/// Removes the gateways of leases that the node had before, once no pod lives in their subnets.
///
/// An old gateway is an address that the plugin put there, or that lies in the cluster's networks, and that is none of
/// the present lease's. It does no harm if it stays for a while, so an error here fails no verb.
func removeOldGateways(
  of leaseSource: LeaseSource, on link: GatewayLinkSpec, _ state: StateDirectory, _ host: inout RouteSocket
) {
  guard let lease = try? leaseSource.read() else { return }
  do throws(PodNetworkError) {
    try removeGateways(on: link, state, &host) { address in
      !lease.subnets.contains(address.prefix) && !address.prefix.address.isLinkLocal
        && (address.owner == RouteProtocol.plugin || lease.networks.contains { $0.contains(address.prefix) })
    }
  } catch {
    StandardError.write("old gateways stay on the bridge: \(error)")
  }
}

/// Removes the unwanted addresses of the link whose subnets no pod needs.
func removeGateways(
  on spec: GatewayLinkSpec, _ state: StateDirectory, _ host: inout RouteSocket,
  where isUnwanted: (LinkAddress) -> Bool
) throws(PodNetworkError) {
  guard let link = try fromNetlink(host.link(named: spec.name)) else { return }
  let unwanted = try fromNetlink(host.addresses(on: link.index)).filter(isUnwanted)
  // An ADD that is under way may need one: its lease may not be on disk yet.
  guard !unwanted.isEmpty, let claim = try? state.claimBridge() else { return }
  // Pods of any network may live on the bridge, with addresses of any data directory.
  let records = try fromSystem(state.records.all())
  let directories = Set(records.map { $0.dataDirectory } + [spec.dataDirectory])
  for address in unwanted {
    let hasPod = records.contains { record in
      !record.isRouted && record.addresses.contains { address.prefix.contains($0) }
    }
    if hasPod { continue }
    if try hasLease(in: address.prefix.network, below: directories, state) { continue }
    try fromNetlink(host.perform(.removeAddress(address.prefix, from: link.index), accepting: EADDRNOTAVAIL))
  }
  _ = consume claim
}

/// Whether any network below the data directories holds an address of the subnet.
private func hasLease(in subnet: IPPrefix, below directories: Set<String>, _ state: StateDirectory)
  throws(PodNetworkError) -> Bool
{
  for directory in directories where !directory.isEmpty {
    for network in try fromSystem(Files.names(in: directory)) {
      if try fromIPAM(state.leases(of: network, in: directory).hasLease(in: subnet)) { return true }
    }
  }
  return false
}
