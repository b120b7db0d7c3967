internal import Addresses
internal import Attachments
package import CNI
internal import Glibc
internal import IPAM
internal import JSON
internal import Linux
internal import Netlink
internal import NodeState

/// GC: removes cables, leases and records of this network's attachments that are not in the valid list, and nothing
/// of another network.
///
/// The list's key is read in both of its spellings. `null` and `[]` mean that none is valid; an absent key means that
/// the runtime did not say, and nothing is done. What fails holds back nothing else, but leases stay where their cables
/// do; the first failure is the verb's.
package func collectAttachments(
  _ invocation: Invocation, _ network: NetworkConfiguration, as type: PluginType = .causeway
) throws {
  guard let valid = try validAttachments(network) else { return }
  let traces = Traces(network, type)
  let state = StateDirectory(traces.leaseSource.stateDirectory)
  var host = try RouteSocket()
  var failures = Failures()
  failures.attempt {
    try Attachment.collectRules(network: network.name, keeping: Set(valid.map(\.key)))
  }
  let strays = failures.attempt { try collectCablesAndLeases(traces, valid, state, &host) }
  for stray in strays ?? [] where !valid.contains(where: { $0.containerID == stray.containerID }) {
    traces.removeFlannelFile(of: stray)
  }
  failures.attempt {
    try Attachment.collectReferenceRules(
      network: network.name, keeping: valid, strays: strays ?? [], &host)
  }
  removeOldGateways(traces, state, &host)
  failures.attempt { try traces.delegate?.call(.collect, invocation.searchPath) }
  try failures.throwFirst()
}

/// Cables first: an address is nobody's only when its cable is gone.
///
/// - Returns: whose leases were freed.
private func collectCablesAndLeases(
  _ traces: Traces, _ valid: [Attachment], _ state: StateDirectory, _ host: inout RouteSocket
) throws -> [Attachment] {
  let network = traces.network.name
  let validKeys = Set(valid.map(\.key))
  try removeCables(network, validKeys, &host)
  let strays = try state.records.keys(network: network).filter { !validKeys.contains($0) }
  let records = strays.compactMap { state.records.find(key: $0) }
  // A killed ADD leaves a cable without alias: its name and MAC tell whose it was.
  for record in records {
    _ = try Cable.remove(record.attachment, recorded: record.hostLink, &host)
    leaveFastPath(record.addresses, record.mac)
    if record.isRouted { host.stopAnswering(for: record.addresses) }
  }
  var freed: [Attachment] = []
  for directory in Set(records.map(\.dataDirectory) + [traces.dataDirectory]) where !directory.isEmpty {
    let leases = LeaseDirectory(network, dataDirectory: directory, state.path, isFromLease: false)
    freed += try leases.collect(keeping: Set(valid.map { LeaseOwner($0) })).map { owner, _ in
      Attachment(network: network, containerID: owner.containerID, interfaceName: owner.interfaceName)
    }
  }
  for key in strays { try state.records.remove(key) }
  return freed
}

/// `cni.dev/valid-attachments` (SPEC, "GC"), or the key that libcni wrote before it.
func validAttachments(_ network: NetworkConfiguration) throws -> [Attachment]? {
  let fields = network.fields
  for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
    guard let value = fields.object[key] else { continue }
    if value == .null { return [] }
    return try (fields.list(key) ?? []).map { entry in
      guard let id = try entry.string("containerID") else {
        throw JSONError.missing(field: entry.path(of: "containerID"))
      }
      guard let ifname = try entry.string("ifname") else {
        throw JSONError.missing(field: entry.path(of: "ifname"))
      }
      return Attachment(network: network.name, containerID: id, interfaceName: ifname)
    }
  }
  return nil
}

private func removeCables(_ network: String, _ valid: Set<String>, _ host: inout RouteSocket) throws {
  let prefix = Attachment.aliasPrefix + Attachment.keyPrefix(network: network)
  for link in try host.links() {
    guard link.kind == "veth", let alias = link.alias, alias.hasPrefix(prefix),
      !valid.contains(String(alias.dropFirst(Attachment.aliasPrefix.count)))
    else { continue }
    try host.perform(.removeLink(link.index, name: link.name), accepting: ENODEV)
  }
}
