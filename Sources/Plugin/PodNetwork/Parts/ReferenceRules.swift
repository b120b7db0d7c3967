internal import Addresses
internal import Attachments
internal import Netfilter
internal import Netlink
internal import PodRules

/// Rules that the reference plugins made for a pod before causeway replaced them.
extension Attachment {
  private var referenceNames: ReferenceNames {
    ReferenceNames(network: network, containerID: containerID, interfaceName: interfaceName)
  }

  /// Removes the attachment's rules from the tables of nf_tables. Absence is success, and costs one request.
  ///
  /// - Parameter others: the addresses of the container's other interfaces in the network, with which it may share a
  ///   chain.
  func removeReferenceRules(others: () -> [IPAddress], _ netfilter: inout NetfilterSocket) throws(PodNetworkError) {
    let names = referenceNames
    let families = IPFamily.allCases
    let found = try fromNetlink(
      netfilter.contains(
        [ReferenceMasquerade.chain, ReferenceSpoofGuard.chain(names)]
          + families.map { ReferenceChains.chain(names, $0) }))
    var failures = Failures()
    if found[0] { failures.attempt(try fromNetlink(ReferenceMasquerade.remove(names, &netfilter))) }
    if found[1] { failures.attempt(try fromNetlink(ReferenceSpoofGuard.remove(names, &netfilter))) }
    for (family, isThere) in zip(families, found.dropFirst(2)) where isThere {
      let others = others()
      failures.attempt(
        try fromNetlink(ReferenceChains.remove(names, family, &netfilter) { others.contains($0) }))
    }
    try failures.throwFirst()
  }

  /// Removes the attachment's rules from the kernel's older tables, by the program for them where they are in use.
  func removeLegacyRules(others: () -> [IPAddress]) throws(PodNetworkError) {
    try fromPodRules(LegacyChains.remove(referenceNames) { others().contains($0) })
  }

  /// Removes the rules of the network's attachments that are not among the valid ones. The rules of `macspoofchk` name no
  /// network: those of `strays` are removed, and those of ports that no longer exist.
  static func collectReferenceRules(
    network: String, keeping valid: [Attachment], strays: [Attachment], _ host: inout RouteSocket
  ) throws(PodNetworkError) {
    let kept = valid.map { $0.referenceNames }
    var failures = Failures()
    failures.attempt(try collectReferenceTables(network, kept, strays.map { $0.referenceNames }, &host))
    failures.attempt(try fromPodRules(LegacyChains.collect(network: network, keeping: kept)))
    try failures.throwFirst()
  }

  private static func collectReferenceTables(
    _ network: String, _ kept: [ReferenceNames], _ strays: [ReferenceNames], _ host: inout RouteSocket
  ) throws(PodNetworkError) {
    var netfilter = try fromNetlink(NetfilterSocket())
    var failures = Failures()
    failures.attempt(try fromNetlink(ReferenceMasquerade.collect(network: network, keeping: kept, &netfilter)))
    for family in IPFamily.allCases {
      failures.attempt(try fromNetlink(ReferenceChains.collect(network: network, keeping: kept, family, &netfilter)))
    }
    failures.attempt(
      try fromNetlink(
        ReferenceSpoofGuard.collect(of: strays, &netfilter) { port throws(NetlinkError) in
          try host.link(named: port) != nil
        }))
    try failures.throwFirst()
  }
}
