internal import Addresses
package import CNI
internal import Glibc
internal import IPAM
internal import Lease
internal import Linux
internal import Netlink

/// ADD: gives a pod its cable, address and routes, or leaves everything as it was.
package func addAttachment(
  _ invocation: Invocation, _ configuration: AttachmentConfiguration
) throws -> AttachmentResult {
  if configuration.addressing == nil {
    // What cannot be answered must not be begun.
    _ = try AttachmentResult().json(configuration.network.version)
  }
  let namespace = try openPodNamespace(invocation)
  let lease = try configuration.leaseSource.obtain(searchPath: invocation.searchPath)
  let plan = try AddressPlan(configuration, lease)
  var host = try RouteSocket()
  var undo = Undo()
  do {
    return try add(invocation, configuration, plan, namespace, &host, &undo)
  } catch {
    undo.unwind(&host)
    throw error
  }
}

private func add(
  _ invocation: Invocation, _ configuration: AttachmentConfiguration, _ plan: AddressPlan,
  _ namespace: borrowing NetworkNamespace, _ host: inout RouteSocket, _ undo: inout Undo
) throws -> AttachmentResult {
  let attachment = Attachment(invocation, configuration.network.name)
  let state = StateDirectory(configuration.leaseSource.stateDirectory)
  var pod = try Pod(namespace, interfaceName: invocation.interfaceName, families: plan.families)
  try pod.checkNameIsFree()

  let allocations = try lease(attachment, configuration, plan, &undo)
  try state.records.store(
    AttachmentRecord(
      attachment: attachment, namespace: namespace.identity, namespacePath: namespace.path,
      hostLink: attachment.hostLinkName(attempt: 0), addresses: allocations.map(\.address.address),
      dataDirectory: configuration.addressing?.dataDirectory ?? ""))
  undo.push(.record(state.records, attachment))

  let use = try state.useBridge()
  let bridge = try Bridge.ensure(configuration, &host)
  undo.push(.bridge(bridge, state))
  var hasOldGateways = false
  if configuration.isGateway {
    hasOldGateways = try bridge.ensureGateways(
      allocations.gateways, fromLease: plan.isFromLease, configuration, &host)
  }
  let cable = try Cable.make(
    attachment, configuration, mtuBytes: plan.mtuBytes, bridge: bridge, namespace: namespace, &host)
  undo.push(.cable(attachment))
  try cable.finish(attachment, configuration, &host)
  if plan.masquerades && !allocations.isEmpty {
    undo.push(.rules(attachment, allocations.map(\.address.address)))
    try attachment.masquerade(allocations, clusterNetworks: plan.clusterNetworks)
  }

  let routes = podRoutes(configuration, allocations)
  let link = try pod.configure(
    allocations.map(\.address), routes, leavesDown: configuration.leavesInterfaceDown)
  if !configuration.leavesInterfaceDown {
    try cable.waitUntilForwarding(&host)
    if !allocations.isEmpty { try pod.announce(link, mac: cable.podMAC) }
  }
  _ = consume use
  if plan.isFromLease && hasOldGateways {
    removeOldGateways(configuration.network, configuration.leaseSource, state, &host)
  }

  let dns = configuration.dns.isEmpty ? configuration.addressing?.dns ?? DNS() : configuration.dns
  return AttachmentResult(
    interfaces: [
      try bridge.interface(&host),
      .init(name: cable.hostName, mac: cable.hostMAC.description, mtuBytes: link.mtuBytes),
      .init(
        name: invocation.interfaceName, mac: cable.podMAC.description, mtuBytes: link.mtuBytes,
        sandbox: invocation.namespacePath),
    ],
    ips: allocations.map { .init(address: $0.address, gateway: $0.gateway, interface: 2) },
    routes: routes, dns: dns)
}

/// Takes an address of each range set, for as long as the attachment lives.
private func lease(
  _ attachment: Attachment, _ configuration: AttachmentConfiguration, _ plan: AddressPlan, _ undo: inout Undo
) throws -> [Allocation] {
  guard let addressing = configuration.addressing else { return [] }
  let leases = LeaseDirectory(
    attachment.network, dataDirectory: addressing.dataDirectory, configuration.leaseSource.stateDirectory,
    isFromLease: plan.isFromLease)
  let owner = LeaseOwner(attachment)
  let allocations = try leases.allocate(owner, from: plan.rangeSets, requested: plan.requested)
  undo.push(.lease(leases, owner))
  return allocations
}

extension [Allocation] {
  /// The bridge's addresses: each gateway with the length of its subnet.
  var gateways: [IPPrefix] {
    compactMap { allocation in
      IPPrefix(allocation.gateway, length: allocation.address.length)
    }
  }
}

extension Bridge {
  /// The bridge as it is now: its MTU follows the ports.
  fileprivate func interface(_ host: inout RouteSocket) throws -> AttachmentResult.Interface {
    let now = try host.link(index: link.index) ?? link
    return .init(name: now.name, mac: now.mac?.description ?? "", mtuBytes: now.mtuBytes)
  }
}
