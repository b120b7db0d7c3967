internal import Addresses
internal import CNI
internal import Glibc
internal import IPAM
internal import JSON
internal import Lease
internal import Linux
internal import Netlink

/// Removes from the bridge the gateways of leases that the node had before, once no pod lives in their subnets.
///
/// An old gateway is an address that the plugin put there, or that lies in the cluster's networks, and that is none of
/// the present lease's. It harms nobody if it stays for a while, so what fails here fails no verb.
func removeOldGateways(_ traces: Traces, _ state: StateDirectory, _ host: inout RouteSocket) {
  guard traces.usesLease, let lease = try? traces.leaseSource.read() else { return }
  do {
    guard let bridge = try host.link(named: traces.bridgeName) else { return }
    let old = try host.addresses(on: bridge.index).filter { address in
      !lease.subnets.contains(address.prefix) && !address.prefix.address.isLinkLocal
        && (address.owner == pluginOwner || lease.networks.contains { $0.contains(address.prefix) })
    }
    guard !old.isEmpty else { return }
    // While an ADD is under way its lease may not be on disk yet, or its subnet not be the present one.
    guard let claim = try? state.claimBridge() else { return }
    let leases = LeaseDirectory(
      traces.network.name, dataDirectory: traces.dataDirectory, state.path, isFromLease: true)
    for address in old where try !leases.hasLease(in: address.prefix.network) {
      try host.perform(.removeAddress(address.prefix, from: bridge.index), accepting: EADDRNOTAVAIL)
    }
    _ = consume claim
  } catch {
    StandardError.write("old gateways stay on the bridge: \(error)")
  }
}
