internal import Addresses
internal import Attachments
package import CNI
internal import Glibc
internal import IPAM
internal import Linux
internal import Netfilter
internal import Netlink
internal import NodeState
internal import PodRules

/// CHECK: checks that an attachment still is as ADD reported it. What others added to the pod is ignored.
///
/// - Throws: code 100 with what is missing or different; code 7 without a `prevResult`.
package func checkAttachment(_ invocation: Invocation, _ configuration: AttachmentConfiguration) throws(PodNetworkError)
{
  guard let result = configuration.network.previousResult else {
    throw PodNetworkError(
      .invalidConfiguration, "Required prevResult missing",
      details: "CHECK needs the result of ADD in the configuration")
  }
  let namespace = try openPodNamespace(invocation)
  let attachment = Attachment(invocation, network: configuration.network.name)
  let record = configuration.state.records.find(attachment)
  var pod = try fromNetlink(RouteSocket(in: namespace))
  var host = try fromNetlink(RouteSocket())
  let link = try checkPodLink(invocation, configuration, result, &pod)
  try checkAddresses(invocation, result, link, &pod)
  try checkRoutes(result, link, &pod)
  // The mode of ADD counts: the configuration may have another by now.
  let port =
    record?.isRouted ?? (configuration.mode == .routed)
    ? try RoutedSide.check(configuration.routed, result, link, &host)
    : try BridgedSide.check(configuration.bridged, result, link, &host)
  try checkLease(attachment, configuration)
  try configuration.delegate?.call(.check, invocation.searchPath)
  if let record { try checkRules(record, port, link) }
}

/// The error of CHECK for something that is not as ADD made it.
func fault(_ message: String) -> PodNetworkError {
  PodNetworkError(.notAsMade, message, details: "remove the container and let it be made again")
}

private func checkPodLink(
  _ invocation: Invocation, _ configuration: AttachmentConfiguration, _ result: AttachmentResult,
  _ pod: inout RouteSocket
) throws(PodNetworkError) -> Link {
  let name = invocation.interfaceName
  guard let entry = result.interfaces.first(where: { $0.name == name && !$0.sandbox.isEmpty }) else {
    throw PodNetworkError(.invalidConfiguration, "prevResult has no interface \"\(name)\" with a sandbox")
  }
  guard let link = try fromNetlink(pod.link(named: name)) else {
    throw fault("the container has no interface \"\(name)\"")
  }
  guard link.kind == "veth" else { throw fault("the container's \"\(name)\" is no veth") }
  if let mac = link.mac, !entry.mac.isEmpty, MACAddress(entry.mac) != mac {
    throw fault("the MAC of \"\(name)\" is \(mac), not \(entry.mac)")
  }
  guard link.isUp || configuration.interface.isLeftDown else {
    throw fault("the container's \"\(name)\" is down")
  }
  return link
}

private func checkAddresses(
  _ invocation: Invocation, _ result: AttachmentResult, _ link: Link, _ pod: inout RouteSocket
) throws(PodNetworkError) {
  let present = Set(try fromNetlink(pod.addresses(on: link.index)).map { $0.prefix })
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

private func checkRoutes(_ result: AttachmentResult, _ link: Link, _ pod: inout RouteSocket) throws(PodNetworkError) {
  guard !result.routes.isEmpty else { return }
  let present = try fromNetlink(pod.routes())
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

private func checkLease(_ attachment: Attachment, _ configuration: AttachmentConfiguration) throws(PodNetworkError) {
  guard let addressing = configuration.addressing else { return }
  let leases = configuration.state.leases(of: attachment.network, in: addressing.dataDirectory)
  guard try !fromIPAM(leases.find(LeaseOwner(attachment))).isEmpty else {
    throw fault("no address under \(addressing.dataDirectory)/\(attachment.network) belongs to the container")
  }
}

/// Checks the rules that ADD made by the record, whatever it would make by the lease and the configuration of now.
private func checkRules(_ record: AttachmentRecord, _ port: Link, _ podLink: Link) throws(PodNetworkError) {
  let rules = PodRule.rules(of: record)
  guard !rules.isEmpty else { return }
  var netfilter = try fromNetlink(NetfilterSocket())
  let pod = RuledPod(record.attachment, link: port.name, mac: podLink.mac, addresses: record.addresses)
  for rule in rules {
    if let part = try fromNetlink(rule.firstMissing(pod, &netfilter)) {
      throw fault("the rule that \(rule.effect(part)) is gone")
    }
  }
}
