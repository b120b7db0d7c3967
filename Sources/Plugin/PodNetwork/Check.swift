internal import Addresses
internal import Attachments
package import CNI
internal import Glibc
internal import IPAM
internal import Linux
internal import Netlink
internal import NodeState

/// CHECK: sees that an attachment still is what ADD answered. What others added to the pod is not looked at.
///
/// - Throws: code 100 with what is missing or different; code 7 without a `prevResult`.
package func checkAttachment(_ invocation: Invocation, _ configuration: AttachmentConfiguration) throws {
  guard let result = configuration.network.previousResult else {
    throw CNIError(
      .invalidConfiguration, "Required prevResult missing",
      details: "CHECK needs the result of ADD in the configuration")
  }
  let namespace = try openPodNamespace(invocation)
  let attachment = Attachment(invocation, configuration.network.name)
  let record = StateDirectory(configuration.leaseSource.stateDirectory).records.find(attachment)
  var pod = try RouteSocket(in: namespace)
  var host = try RouteSocket()
  let link = try checkPodLink(invocation, configuration, result, &pod)
  try checkAddresses(invocation, result, link, &pod)
  try checkRoutes(result, link, &pod)
  // As ADD made it: the configuration may have another mode by now.
  let port =
    record?.isRouted ?? configuration.isRouted
    ? try checkNodeSide(result, link, &host) : try checkHostSide(configuration, result, link, &host)
  try checkLease(attachment, configuration)
  try configuration.delegate?.call(.check, invocation.searchPath)
  if let record { try checkRules(record, port, link) }
}

/// What CHECK finds.
func fault(_ message: String) -> CNIError {
  CNIError(.notAsMade, message, details: "remove the container and let it be made again")
}

private func checkPodLink(
  _ invocation: Invocation, _ configuration: AttachmentConfiguration, _ result: AttachmentResult,
  _ pod: inout RouteSocket
) throws -> Link {
  let name = invocation.interfaceName
  guard let entry = result.interfaces.first(where: { $0.name == name && !$0.sandbox.isEmpty }) else {
    throw CNIError(.invalidConfiguration, "prevResult has no interface \"\(name)\" with a sandbox")
  }
  guard let link = try pod.link(named: name) else {
    throw fault("the container has no interface \"\(name)\"")
  }
  guard link.kind == "veth" else { throw fault("the container's \"\(name)\" is no veth") }
  if let mac = link.mac, !entry.mac.isEmpty, MACAddress(entry.mac) != mac {
    throw fault("the MAC of \"\(name)\" is \(mac), not \(entry.mac)")
  }
  guard link.isUp || configuration.leavesInterfaceDown else {
    throw fault("the container's \"\(name)\" is down")
  }
  return link
}

private func checkAddresses(
  _ invocation: Invocation, _ result: AttachmentResult, _ link: Link, _ pod: inout RouteSocket
) throws {
  let present = Set(try pod.addresses(on: link.index).map(\.prefix))
  for ip in result.ips {
    if let index = ip.interface, result.interfaces.indices.contains(index),
      result.interfaces[index].name != invocation.interfaceName
    {
      continue
    }
    guard present.contains(ip.address) else {
      throw fault("\"\(link.name)\" has lost its address \(ip.address)")
    }
  }
}

private func checkRoutes(_ result: AttachmentResult, _ link: Link, _ pod: inout RouteSocket) throws {
  guard !result.routes.isEmpty else { return }
  let present = try pod.routes()
  for wanted in result.routes {
    let found = present.contains { route in
      route.destination == wanted.destination && (wanted.gateway == nil || route.gateway == wanted.gateway)
        && route.table == wanted.table ?? Route.mainTable
    }
    guard found else {
      let via = wanted.gateway.map { " via \($0)" } ?? ""
      throw fault("the container has lost its route to \(wanted.destination)\(via)")
    }
  }
}

/// The host's end of the cable, which is as it must be.
private func checkHostSide(
  _ configuration: AttachmentConfiguration, _ result: AttachmentResult, _ podLink: Link, _ host: inout RouteSocket
) throws -> Link {
  guard let bridge = try host.link(named: configuration.bridgeName), bridge.kind == "bridge" else {
    throw fault("the bridge \"\(configuration.bridgeName)\" is gone")
  }
  guard bridge.isUp else { throw fault("the bridge \"\(bridge.name)\" is down") }
  guard let peerIndex = podLink.peerIndex, let port = try host.link(index: peerIndex) else {
    throw fault("the host's end of \"\(podLink.name)\" is gone")
  }
  guard port.masterIndex == bridge.index else {
    throw fault("\(port.name), the host's end of \"\(podLink.name)\", is not a port of \"\(bridge.name)\"")
  }
  guard port.isUp else { throw fault("\(port.name), the host's end of \"\(podLink.name)\", is down") }
  if let entry = result.interfaces.first(where: { $0.name == port.name && $0.sandbox.isEmpty }),
    let mac = MACAddress(entry.mac), let now = port.mac, mac != now
  {
    throw fault("the MAC of \(port.name) is \(now), not \(mac)")
  }
  try configuration.vlans?.check(port, of: bridge, &host)
  let gateways = configuration.isGateway ? result.ips.compactMap(\.gateway) : []
  guard !gateways.isEmpty else { return port }
  let gatewayLink = try configuration.vlans?.checkedGatewayPort(of: bridge, &host) ?? bridge
  let present = Set(try host.addresses(on: gatewayLink.index).map(\.prefix.address))
  for gateway in gateways where !present.contains(gateway) {
    throw fault("\"\(gatewayLink.name)\" has lost the gateway's address \(gateway)")
  }
  return port
}

/// The same of a routed pod.
private func checkNodeSide(
  _ result: AttachmentResult, _ podLink: Link, _ host: inout RouteSocket
) throws -> Link {
  guard let peerIndex = podLink.peerIndex, let port = try host.link(index: peerIndex) else {
    throw fault("the host's end of \"\(podLink.name)\" is gone")
  }
  guard port.isUp else { throw fault("\(port.name), the host's end of \"\(podLink.name)\", is down") }
  let routes = try host.routes(owner: RouteProtocol.plugin)
  for address in result.ips.map(\.address.address)
  where !routes.contains(where: { $0.destination == IPPrefix(host: address) && $0.linkIndex == port.index }) {
    throw fault("the node has lost its route to \(address) through \(port.name)")
  }
  return port
}

private func checkLease(_ attachment: Attachment, _ configuration: AttachmentConfiguration) throws {
  guard let addressing = configuration.addressing else { return }
  let leases = LeaseDirectory(
    attachment.network, dataDirectory: addressing.dataDirectory, configuration.leaseSource.stateDirectory,
    isFromLease: false)
  guard try !leases.find(LeaseOwner(attachment)).isEmpty else {
    throw fault("no address under \(addressing.dataDirectory)/\(attachment.network) belongs to the container")
  }
}

/// The rules that ADD made, whatever it would make by the lease and the configuration of now.
private func checkRules(_ record: AttachmentRecord, _ port: Link, _ podLink: Link) throws {
  let attachment = record.attachment
  if record.checksMAC, let mac = podLink.mac, try !attachment.isGuarded(port: port.name, mac: mac) {
    throw fault("the rule that holds \(port.name) to the MAC \(mac) is gone")
  }
  for address in record.addresses where try record.isRouted && !attachment.isGuarded(link: port.name, source: address) {
    throw fault("the rule that holds \(port.name) to \(address) is gone")
  }
  guard record.masquerades else { return }
  for address in record.addresses where try !attachment.isMasqueraded(address) {
    throw fault("the rule that masquerades \(address) is gone")
  }
}
