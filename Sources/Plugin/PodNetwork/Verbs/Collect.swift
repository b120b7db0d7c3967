internal import Addresses
internal import Attachments
package import CNI
internal import Glibc
internal import IPAM
internal import JSON
internal import Linux
internal import Netlink
internal import NodeState

/// GC: removes veth pairs, rules, leases and records of this network's attachments that are not in the valid list, and
/// nothing of another network.
///
/// The list's key is read in both of its spellings. `null` and `[]` mean that none is valid; without the key nothing is
/// done. A step that fails does not stop the others, but leases stay if their veth pairs do. The verb throws the first
/// failure.
package func collectAttachments(
  _ invocation: Invocation, _ network: NetworkConfiguration, as type: PluginType = .causeway
) throws(PodNetworkError) {
  guard let valid = try validAttachments(network) else { return }
  let configuration = LenientConfiguration(network, as: type)
  var host = try fromNetlink(RouteSocket())
  var failures = Failures()
  failures.attempt(try collectRules(network: network.name, keeping: Set(valid.map { $0.key })))
  let strays = failures.attempt(try collectPairsAndLeases(configuration, valid, &host))
  for stray in strays ?? [] where !valid.contains(where: { $0.containerID == stray.containerID }) {
    configuration.removeFlannelFile(of: stray)
  }
  failures.attempt(
    try Attachment.collectReferenceRules(
      network: network.name, keeping: valid, strays: strays ?? [], &host))
  if configuration.usesLease {
    removeOldGateways(of: configuration.leaseSource, on: configuration.gatewayLink, configuration.state, &host)
  }
  failures.attempt(try configuration.delegate?.call(.collect, invocation.searchPath))
  try failures.throwFirst()
}

/// Removes veth pairs, then leases: an address is free only when its veth pair is gone.
///
/// - Returns: the attachments whose leases were freed.
private func collectPairsAndLeases(
  _ configuration: LenientConfiguration, _ valid: [Attachment], _ host: inout RouteSocket
) throws(PodNetworkError) -> [Attachment] {
  let (network, state) = (configuration.network.name, configuration.state)
  let validKeys = Set(valid.map { $0.key })
  try removePairs(network, validKeys, &host)
  let strays = try fromSystem(state.records.keys(network: network)).filter { !validKeys.contains($0) }
  let records = strays.compactMap { state.records.find(key: $0) }
  // A killed ADD leaves a veth pair without alias, which its name and MAC identify.
  for record in records {
    _ = try VethPair.remove(record.attachment, recorded: record.hostLink, &host)
    leaveFastPath(record.addresses, record.mac)
    if record.isRouted { host.stopAnswering(for: record.addresses) }
  }
  var freed: [Attachment] = []
  for directory in Set(records.map { $0.dataDirectory } + [configuration.dataDirectory]) where !directory.isEmpty {
    let leases = state.leases(of: network, in: directory)
    freed += try fromIPAM(leases.collect(keeping: Set(valid.map { LeaseOwner($0) }))).map { owner, _ in
      Attachment(network: network, containerID: owner.containerID, interfaceName: owner.interfaceName)
    }
  }
  for key in strays { try fromSystem(state.records.remove(key)) }
  return freed
}

/// Attachments of the key `cni.dev/valid-attachments` (SPEC, "GC"), or of the key that libcni wrote before it; `nil`
/// without either.
func validAttachments(_ network: NetworkConfiguration) throws(PodNetworkError) -> [Attachment]? {
  let fields = network.fields
  for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
    guard let value = fields.object[key] else { continue }
    if value == .null { return [] }
    return try (fromJSON(fields.list(key)) ?? []).map { entry throws(PodNetworkError) in
      guard let id = try fromJSON(entry.string("containerID")) else {
        throw .json(.missing(field: entry.path(of: "containerID")))
      }
      guard let ifname = try fromJSON(entry.string("ifname")) else {
        throw .json(.missing(field: entry.path(of: "ifname")))
      }
      return Attachment(network: network.name, containerID: id, interfaceName: ifname)
    }
  }
  return nil
}

/// Removes the network's veth pairs whose attachment is not valid.
private func removePairs(_ network: String, _ valid: Set<String>, _ host: inout RouteSocket) throws(PodNetworkError) {
  let prefix = Attachment.aliasPrefix + Attachment.keyPrefix(network: network)
  for link in try fromNetlink(host.links()) {
    guard link.kind == "veth", let alias = link.alias, alias.hasPrefix(prefix),
      !valid.contains(String(alias.dropFirst(Attachment.aliasPrefix.count)))
    else { continue }
    try fromNetlink(host.perform(.removeLink(link.index, name: link.name), accepting: ENODEV))
  }
}
