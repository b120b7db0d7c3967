internal import Addresses
internal import Attachments
package import CNI
internal import IPAM
internal import Linux
internal import Netlink
internal import NodeState
internal import PodRules

/// ADD: gives a pod its veth pair, addresses and routes, or leaves everything as it was.
///
/// - Parameter answer: writes the result, as the last step. A runtime that was killed meanwhile may have done its DEL
///   already, so an answer that no runtime reads is a failed ADD like any other.
package func addAttachment(
  _ invocation: Invocation, _ configuration: AttachmentConfiguration,
  answer: (AttachmentResult) throws(PodNetworkError) -> Void
) throws(PodNetworkError) {
  if !configuration.hasAddresses {
    // A result without addresses may not exist in the configuration's version; ADD must fail before it begins.
    _ = try fromCNI(AttachmentResult().json(configuration.network.version))
  }
  let namespace = try openPodNamespace(invocation)
  let handOff = HandOff(
    source: configuration.leaseSource, state: configuration.state, searchPath: invocation.searchPath)
  let lease = try handOff.lease(isNeeded: configuration.addressing?.rangeSets.isEmpty == true)
  let request = AddRequest(invocation, configuration, try AddressPlan(configuration, lease))
  var host = try fromNetlink(HostNetwork(state: configuration.state))
  do throws(PodNetworkError) {
    switch configuration.mode {
    case .bridge: try answer(add(BridgedSide.self, configuration.bridged, request, namespace, &host))
    case .routed: try answer(add(RoutedSide.self, configuration.routed, request, namespace, &host))
    }
  } catch {
    host.unwind()
    throw error
  }
}

/// Everything that an ADD knows before it begins.
private struct AddRequest {
  let attachment: Attachment
  /// CNI_NETNS, as results name it.
  let namespacePath: String
  let searchPath: [String]
  let configuration: AttachmentConfiguration
  let plan: AddressPlan

  init(_ invocation: Invocation, _ configuration: AttachmentConfiguration, _ plan: AddressPlan) {
    attachment = Attachment(invocation, network: configuration.network.name)
    namespacePath = invocation.namespacePath
    searchPath = invocation.searchPath
    self.configuration = configuration
    self.plan = plan
  }
}

private func add<Side: HostSide>(
  _: Side.Type, _ spec: Side.Spec, _ request: AddRequest, _ namespace: borrowing NetworkNamespace,
  _ host: inout HostNetwork
) throws(PodNetworkError) -> AttachmentResult {
  let (configuration, plan, attachment) = (request.configuration, request.plan, request.attachment)
  var pod = try Pod(
    namespace, interfaceName: attachment.interfaceName, hasIPv6: plan.has(.v6),
    detectsDuplicates: configuration.interface.detectsDuplicates)
  try pod.checkNameIsFree()
  var addresses = try request.lease(&host)
  host.undo.push(.record(attachment))
  var generator = SystemRandomNumberGenerator()
  let podMAC = configuration.interface.requestedMAC ?? .random(using: &generator)
  var record = request.record(addresses, podMAC: podMAC, namespace)
  try fromSystem(host.state.records.store(record))

  let use = try fromSystem(host.state.useBridge())
  var side = try Side(spec, &host)
  // The kernel may make the pair, and its answer be lost.
  host.undo.push(.vethPair(attachment))
  let pair = try VethPair.make(
    attachment, podMAC: podMAC, mtuBytes: plan.mtuBytes, bridge: side.bridgeLink, namespace: namespace,
    &host.socket)
  if pair.hostName != record.hostLink {
    record.hostLink = pair.hostName
    try fromSystem(host.state.records.store(record))
  }
  try side.finish(pair, mayHaveIPv6: plan.has(.v6) || configuration.delegate != nil, &host)
  let podLink = try pod.setUp(isLeftDown: configuration.interface.isLeftDown)
  if let delegate = configuration.delegate {
    addresses = try request.addresses(from: delegate, pair, &host)
    if addresses.ips.contains(where: { $0.address.family == .v6 }) { try pod.enableIPv6(namespace) }
    record.addresses = addresses.hosts
    record.masquerades = plan.masquerades
    try fromSystem(host.state.records.store(record))
  }

  try side.ensureGateways(
    addresses.gateways, areFromLease: plan.isFromLease, mtuBytes: plan.mtuBytes, &host)
  let ruled = request.ruledPod(pair, addresses)
  host.undo.push(.rules(ruled))
  try addRules(record, ruled)
  addresses = side.assigned(addresses)
  try side.addRoutes(to: addresses.hosts, through: pair, &host)
  let routes = configuration.routes.routes(for: addresses, clusterNetworks: plan.clusterNetworks)
  try pod.configure(
    podLink, addresses: addresses.prefixes, routes: routes,
    neighbours: side.permanentNeighbours(of: addresses), neighbourMAC: pair.hostMAC)
  if !configuration.interface.isLeftDown {
    try pair.waitUntilForwarding(&host.socket)
    if side.hasNeighbours, !addresses.ips.isEmpty { try pod.announce(podLink, mac: pair.podMAC) }
  }
  request.joinFastPath(pair, addresses.hosts, gatewayMAC: side.gatewayMAC(pair), &host)
  _ = consume use
  side.removeOldGateways(configuration.leaseSource, &host)
  let interfaces = try side.interfaces(around: request.ends(pair, podLink), configuration.network.version, &host)
  return AttachmentResult(
    interfaces: interfaces, ips: addresses.ips, routes: routes,
    dns: configuration.dns.isEmpty ? addresses.dns : configuration.dns)
}

extension AddRequest {
  /// Takes an address of each range set, for as long as the attachment lives.
  fileprivate func lease(_ host: inout HostNetwork) throws(PodNetworkError) -> PodAddresses {
    guard let addressing = configuration.addressing else { return PodAddresses() }
    let leases = host.state.leases(
      of: attachment.network, in: addressing.dataDirectory, isFromLease: plan.isFromLease)
    let owner = LeaseOwner(attachment)
    let allocations = try fromIPAM(leases.allocate(owner, from: plan.rangeSets, requested: plan.requested))
    host.undo.push(.lease(leases, owner))
    return PodAddresses(
      ips: allocations.map { .init(address: $0.address, gateway: $0.gateway) },
      routes: addressing.routes, dns: addressing.dns)
  }

  /// Lets the delegate give the addresses, when it can send through the pod's link, as dhcp does.
  fileprivate func addresses(
    from delegate: IPAMDelegate, _ pair: VethPair, _ host: inout HostNetwork
  ) throws(PodNetworkError) -> PodAddresses {
    try pair.waitUntilForwarding(&host.socket)
    host.undo.push(.delegate(delegate, searchPath: searchPath))
    return PodAddresses(
      delegate: try delegate.add(searchPath), bridgeIsGateway: configuration.bridged.gateways.isEnabled)
  }

  /// Adds the pod to the node's fast path, if it may use it.
  fileprivate func joinFastPath(
    _ pair: VethPair, _ addresses: [IPAddress], gatewayMAC: MACAddress?, _ host: inout HostNetwork
  ) {
    guard configuration.mayUseFastPath else { return }
    host.undo.push(.fastPath(addresses, pair.podMAC))
    PodNetwork.joinFastPath(
      pair, addresses, gatewayMAC: gatewayMAC, announcesLimits: configuration.fastPath.announcesLimits, &host.socket)
  }

  /// The attachment's record. The addresses of a delegate are not known at first.
  fileprivate func record(
    _ addresses: PodAddresses, podMAC: MACAddress, _ namespace: borrowing NetworkNamespace
  ) -> AttachmentRecord {
    AttachmentRecord(
      attachment: attachment, namespace: namespace.identity, namespacePath: namespace.path,
      hostLink: attachment.hostLinkName(attempt: 0), mac: podMAC, addresses: addresses.hosts,
      dataDirectory: configuration.addressing?.dataDirectory ?? "",
      masquerades: plan.masquerades && !addresses.ips.isEmpty, checksMAC: configuration.rules.checksMAC,
      isRouted: configuration.mode == .routed, mayUseFastPath: configuration.mayUseFastPath)
  }

  /// The pod for its rules. It reaches its own subnets and the cluster's networks under its own address.
  fileprivate func ruledPod(_ pair: VethPair, _ addresses: PodAddresses) -> RuledPod {
    let own = addresses.prefixes.map { $0.network }
    return RuledPod(
      attachment, link: pair.hostName, mac: pair.podMAC, addresses: addresses.hosts,
      unmasqueradedNetworks: own + plan.clusterNetworks.filter { !own.contains($0) })
  }

  /// Ends of the veth pair, for the result.
  fileprivate func ends(_ pair: VethPair, _ podLink: Link) -> [AttachmentResult.Interface] {
    [
      .init(name: pair.hostName, mac: pair.hostMAC.description, mtuBytes: podLink.mtuBytes),
      .init(
        name: podLink.name, mac: pair.podMAC.description, mtuBytes: podLink.mtuBytes, sandbox: namespacePath),
    ]
  }
}

extension PodAddresses {
  /// Addresses that a delegate gave. Where it names no gateway and the bridge is to be one, the gateway is the network's
  /// first address, as in the reference.
  fileprivate init(delegate result: AttachmentResult, bridgeIsGateway: Bool) {
    ips = result.ips.map { ip in
      AttachmentResult.IP(
        address: ip.address, gateway: ip.gateway ?? (bridgeIsGateway ? ip.address.first.advanced(by: 1) : nil))
    }
    routes = result.routes
    dns = result.dns
  }
}
