internal import Addresses
internal import FastPath
internal import Linux
internal import Netlink

/// Adds a pod to the node's fast path, where there is one. A failure does not fail ADD: the pod's packets then take the
/// ordinary path, and the helper adds what is missing.
///
/// Plugins later in the chain may need the link's qdisc: `bandwidth` fails if it cannot add an `ingress` qdisc of its own.
/// Unless the runtime passes limits to this plugin too, the helper adds the pod some seconds later, after the chain.
func joinFastPath(
  _ pair: VethPair, _ addresses: [IPAddress], gatewayMAC: MACAddress?, announcesLimits: Bool,
  _ host: inout RouteSocket
) {
  do throws(PodNetworkError) {
    guard let fastPath = try fromSystem(PinnedFastPath()), let gatewayMAC,
      announcesLimits, let link = try fromNetlink(host.link(named: pair.hostName))
    else { return }
    try fromNetlink(
      fastPath.add(
        FastPathPod(link: link.index, mac: pair.podMAC, gatewayMAC: gatewayMAC), addresses, &host))
  } catch {
    StandardError.write("\(pair.hostName) has no fast path: \(error)")
  }
}

/// Removes a pod from the fast path, before its addresses become another pod's.
func leaveFastPath(_ addresses: [IPAddress], _ mac: MACAddress?) {
  do throws(SystemError) {
    if let fastPath = try PinnedFastPath() { try fastPath.remove(addresses, of: mac) }
  } catch {
    StandardError.write("a pod that goes keeps its place on the fast path: \(error)")
  }
}
