internal import Addresses
internal import FastPath
internal import Linux
internal import Netlink

/// Gives a pod its place on the node's fast path, where there is one. It is never why a pod has no network: without it the
/// pod's packets go the ordinary way, and the helper looks after what is missing.
///
/// The plugins behind this one may want the place: `bandwidth` fails where an `ingress` qdisc of its own has no room. Where
/// the configuration doesn't tell of limits the helper, which sees what they did, makes the place some seconds later.
func joinFastPath(
  _ cable: Cable, _ addresses: [IPAddress], gatewayMAC: MACAddress?, _ configuration: AttachmentConfiguration,
  _ host: inout RouteSocket
) {
  do {
    guard let fastPath = try PinnedFastPath(), let gatewayMAC,
      configuration.tellsLimits, let link = try host.link(named: cable.hostName)
    else { return }
    try fastPath.add(
      FastPathPod(link: link.index, mac: cable.podMAC, gatewayMAC: gatewayMAC), addresses, &host)
  } catch {
    StandardError.write("\(cable.hostName) has no fast path: \(error)")
  }
}

/// Ends it, before the addresses become another's.
func leaveFastPath(_ addresses: [IPAddress], _ mac: MACAddress?) {
  do {
    if let fastPath = try PinnedFastPath() { try fastPath.remove(addresses, of: mac) }
  } catch {
    StandardError.write("a pod that goes keeps its place on the fast path: \(error)")
  }
}
