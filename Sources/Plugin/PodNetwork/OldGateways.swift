internal import Addresses
internal import Attachments
internal import CNI
internal import Glibc
internal import IPAM
internal import JSON
internal import Linux
internal import Netlink
internal import NodeState

/// Removes from the bridge the gateways of leases that the node had before, once no pod lives in their subnets.
///
/// An old gateway is an address that the plugin put there, or that lies in the cluster's networks, and that is none of
/// the present lease's. It harms nobody if it stays for a while, so what fails here fails no verb.
func removeOldGateways(_ traces: Traces, _ state: StateDirectory, _ host: inout RouteSocket) {
  guard traces.usesLease, let lease = try? traces.leaseSource.read() else { return }
  do {
    try removeGateways(traces, state, &host) { address in
      !lease.subnets.contains(address.prefix) && !address.prefix.address.isLinkLocal
        && (address.owner == RouteProtocol.plugin || lease.networks.contains { $0.contains(address.prefix) })
    }
  } catch {
    StandardError.write("old gateways stay on the bridge: \(error)")
  }
}

/// Removes those addresses of the bridge, or of the node's port in a VLAN, that are wanted gone and that no pod's subnet needs.
func removeGateways(
  _ traces: Traces, _ state: StateDirectory, _ host: inout RouteSocket, where isUnwanted: (LinkAddress) -> Bool
) throws {
  guard let link = try host.link(named: traces.gatewayLinkName) else { return }
  let unwanted = try host.addresses(on: link.index).filter(isUnwanted)
  // An ADD that is under way may need one: its lease may not be on disk yet.
  guard !unwanted.isEmpty, let claim = try? state.claimBridge() else { return }
  // Any network's pods may live on the bridge, whatever data directory their addresses are held in.
  let records = try state.records.all()
  let directories = Set(records.map(\.dataDirectory) + [traces.dataDirectory])
  for address in unwanted
  where try !records.contains(where: { !$0.isRouted && $0.addresses.contains(where: address.prefix.contains) })
    && !directories.contains(where: { try hasLease(in: address.prefix.network, $0) })
  {
    try host.perform(.removeAddress(address.prefix, from: link.index), accepting: EADDRNOTAVAIL)
  }
  _ = consume claim
}

/// Whether any network below a data directory holds an address of the subnet.
private func hasLease(in subnet: IPPrefix, _ dataDirectory: String) throws -> Bool {
  guard !dataDirectory.isEmpty else { return false }
  return try Files.names(in: dataDirectory).contains { network in
    try LeaseDirectory(network, dataDirectory: dataDirectory, "", isFromLease: false).hasLease(in: subnet)
  }
}
