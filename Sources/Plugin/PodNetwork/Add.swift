internal import Addresses
internal import Attachments
package import CNI
internal import Glibc
internal import IPAM
internal import Linux
internal import Netlink
internal import NodeState

/// ADD: gives a pod its cable, address and routes, or leaves everything as it was.
///
/// `answer` tells the runtime, as the last step. A runtime that was killed meanwhile may have done its DEL already,
/// so an answer that reaches nobody is a failed ADD like any other.
package func addAttachment(
  _ invocation: Invocation, _ configuration: AttachmentConfiguration, answer: (AttachmentResult) throws -> Void
) throws {
  if !configuration.hasAddresses {
    // What cannot be answered must not be begun.
    _ = try AttachmentResult().json(configuration.network.version)
  }
  let namespace = try openPodNamespace(invocation)
  let lease = try configuration.leaseSource.obtain(
    searchPath: invocation.searchPath, isNeeded: configuration.addressing?.rangeSets.isEmpty == true)
  let plan = try AddressPlan(configuration, lease)
  var host = try RouteSocket()
  var undo = Undo()
  do {
    try answer(try add(invocation, configuration, plan, namespace, &host, &undo))
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
  var pod = try Pod(
    namespace, interfaceName: invocation.interfaceName, hasIPv6: plan.has(.v6),
    detectsDuplicates: configuration.detectsDuplicates)
  try pod.checkNameIsFree()

  var addresses = try lease(attachment, configuration, plan, &undo)
  undo.push(.record(state.records, attachment))
  var generator = SystemRandomNumberGenerator()
  let podMAC = configuration.requestedMAC ?? .random(using: &generator)
  var hostLink = attachment.hostLinkName(attempt: 0)
  try state.records.store(record(attachment, configuration, plan, namespace, addresses, hostLink, podMAC))

  let use = try state.useBridge()
  let bridge = configuration.isRouted ? nil : try Bridge.ensure(configuration, state, &host, &undo)
  if let bridge, let vlans = configuration.vlans { try bridge.ensureVLANFilter(vlans, state, &host, &undo) }
  // The kernel may make it, and its answer be lost.
  undo.push(.cable(attachment))
  let cable = try Cable.make(
    attachment, podMAC: podMAC, mtuBytes: plan.mtuBytes, bridge: bridge?.link, namespace: namespace, &host)
  if cable.hostName != hostLink {
    hostLink = cable.hostName
    try state.records.store(record(attachment, configuration, plan, namespace, addresses, hostLink, podMAC))
  }
  // What a delegate will give is not known yet.
  if configuration.isRouted { try cable.prepare(hasIPv6: plan.has(.v6) || configuration.delegate != nil) }
  try cable.finish(attachment, configuration, &host)
  if let bridge { try configuration.vlans?.join(cable, to: bridge, &host) }
  let podLink = try pod.setUp(leavesDown: configuration.leavesInterfaceDown)

  if let delegate = configuration.delegate {
    // It may want to talk through the cable, as dhcp does.
    try cable.waitUntilForwarding(&host)
    undo.push(.delegate(delegate, searchPath: invocation.searchPath))
    let result = try delegate.add(invocation.searchPath)
    addresses = PodAddresses(delegate: result, bridgeIsGateway: configuration.isGateway)
    if result.ips.contains(where: { $0.address.family == .v6 }) { try pod.enableIPv6(namespace) }
    try state.records.store(record(attachment, configuration, plan, namespace, addresses, hostLink, podMAC))
  }
  let gatewayPort = try bridge?.ensureGatewayPort(
    of: addresses, configuration, mtuBytes: plan.mtuBytes, state, &host, &undo)
  let mayHaveOldGateways =
    configuration.isGateway
    ? try bridge?.ensureGateways(
      addresses.gateways, on: gatewayPort, fromLease: plan.isFromLease, configuration, state, &host, &undo) ?? false
    : false
  undo.push(.rules(attachment, addresses.hosts, cable))
  if configuration.checksMAC { try attachment.guardMAC(cable) }
  if plan.masquerades && !addresses.ips.isEmpty {
    try attachment.masquerade(addresses, clusterNetworks: plan.clusterNetworks)
  }
  if configuration.isRouted {
    addresses = addresses.routed
    let side = NodeSide(cable: cable, addresses: addresses.hosts)
    undo.push(.answers(addresses.hosts))
    try attachment.guardSource(side)
    try side.add(attachment, bridgeName: configuration.bridgeName, &host)
  }
  let routes = podRoutes(configuration, plan, addresses)
  try pod.configure(podLink, addresses.prefixes, routes)
  if configuration.isRouted { try pod.reach(addresses.ips.compactMap(\.gateway), podLink, cable.hostMAC) }
  if !configuration.leavesInterfaceDown {
    try cable.waitUntilForwarding(&host)
    if bridge != nil, !addresses.ips.isEmpty { try pod.announce(podLink, mac: podMAC) }
  }
  if configuration.mayUseFastPath {
    undo.push(.fastPath(addresses.hosts, cable))
    joinFastPath(cable, addresses.hosts, gatewayMAC: bridge?.mac ?? cable.hostMAC, configuration, &host)
  }
  _ = consume use
  if plan.isFromLease && mayHaveOldGateways {
    removeOldGateways(Traces(configuration.network, configuration.type), state, &host)
  }
  let interfaces = try interfaces(
    bridge, cable, podLink, gatewayPort, path: invocation.namespacePath, configuration.network.version, &host)
  return AttachmentResult(
    interfaces: interfaces, ips: addresses.ips, routes: routes,
    dns: configuration.dns.isEmpty ? addresses.dns : configuration.dns)
}

/// What the result tells of links, in the order that chained plugins rely on.
private func interfaces(
  _ bridge: Bridge?, _ cable: Cable, _ podLink: Link, _ gatewayPort: Link?, path: String, _ version: SpecVersion,
  _ host: inout RouteSocket
) throws -> [AttachmentResult.Interface] {
  var interfaces: [AttachmentResult.Interface] = []
  if let bridge { interfaces.append(try host.interface(bridge.link, mac: bridge.mac, version)) }
  interfaces.append(.init(name: cable.hostName, mac: cable.hostMAC.description, mtuBytes: podLink.mtuBytes))
  interfaces.append(
    .init(name: podLink.name, mac: cable.podMAC.description, mtuBytes: podLink.mtuBytes, sandbox: path))
  if let gatewayPort { interfaces.append(try host.interface(gatewayPort, mac: gatewayPort.mac, version)) }
  return interfaces
}

/// Takes an address of each range set, for as long as the attachment lives.
private func lease(
  _ attachment: Attachment, _ configuration: AttachmentConfiguration, _ plan: AddressPlan, _ undo: inout Undo
) throws -> PodAddresses {
  guard let addressing = configuration.addressing else { return PodAddresses() }
  let leases = LeaseDirectory(
    attachment.network, dataDirectory: addressing.dataDirectory, configuration.leaseSource.stateDirectory,
    isFromLease: plan.isFromLease)
  let owner = LeaseOwner(attachment)
  let allocations = try leases.allocate(owner, from: plan.rangeSets, requested: plan.requested)
  undo.push(.lease(leases, owner))
  return PodAddresses(
    ips: allocations.map { .init(address: $0.address, gateway: $0.gateway, interface: AttachmentResult.podIndex) },
    routes: addressing.routes, dns: addressing.dns)
}

private func record(
  _ attachment: Attachment, _ configuration: AttachmentConfiguration, _ plan: AddressPlan,
  _ namespace: borrowing NetworkNamespace, _ addresses: PodAddresses, _ hostLink: String, _ podMAC: MACAddress
) -> AttachmentRecord {
  AttachmentRecord(
    attachment: attachment, namespace: namespace.identity, namespacePath: namespace.path,
    hostLink: hostLink, mac: podMAC, addresses: addresses.hosts,
    dataDirectory: configuration.addressing?.dataDirectory ?? "",
    masquerades: plan.masquerades && !addresses.ips.isEmpty, checksMAC: configuration.checksMAC,
    isRouted: configuration.isRouted, mayUseFastPath: configuration.mayUseFastPath)
}

extension PodAddresses {
  /// What a delegate gave. Where it names no gateway and the bridge is to be one, the network's first address is it, as in
  /// the reference.
  fileprivate init(delegate result: AttachmentResult, bridgeIsGateway: Bool) {
    ips = result.ips.map { ip in
      AttachmentResult.IP(
        address: ip.address,
        gateway: ip.gateway ?? (bridgeIsGateway ? ip.address.first.advanced(by: 1) : nil),
        interface: AttachmentResult.podIndex)
    }
    routes = result.routes
    dns = result.dns
  }
}

extension AttachmentResult {
  /// The pod's interface, behind the bridge and the host's end: chained plugins rely on the order.
  fileprivate static let podIndex = 2
}

extension RouteSocket {
  /// A link as it is now: a bridge's MTU follows its ports. Versions that do not tell it are spared the look.
  fileprivate mutating func interface(
    _ link: Link, mac: MACAddress?, _ version: SpecVersion
  ) throws -> AttachmentResult.Interface {
    let now = AttachmentResult.includesMTU(version) ? try self.link(index: link.index) : nil
    return .init(
      name: link.name, mac: (now?.mac ?? mac)?.description ?? "", mtuBytes: now?.mtuBytes ?? link.mtuBytes)
  }
}
