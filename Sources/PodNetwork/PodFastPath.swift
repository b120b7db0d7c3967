internal import Addresses
package import FastPath
internal import Linux
package import Netlink

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

/// The pods of this node that may use the fast path, as the plugin's records and the kernel's links tell.
package struct FastPathPods: Sendable {
  private let state: StateDirectory

  /// So long an ADD may take, from its record to the last plugin of the chain.
  private static let longestADD = Duration.seconds(5)

  package init(stateDirectory: String) {
    state = StateDirectory(stateDirectory)
  }

  /// - Parameter links: all of the namespace.
  package func places(_ links: [Link]) throws -> [FastPathPlace] {
    var byName: [String: Link] = [:]
    var bridges: [Int32: MACAddress] = [:]
    for link in links {
      byName[link.name] = link
      if link.kind == "bridge" { bridges[link.index] = link.mac }
    }
    let now = MonotonicTime.sinceEpoch
    return try state.records.all().compactMap { record in
      guard record.mayUseFastPath, let mac = record.mac, let link = byName[record.hostLink],
        // One that is down is meant to reach nobody; the programs look at the pod's end only.
        link.alias == record.attachment.linkAlias, link.isUp,
        let gatewayMAC = record.isRouted ? link.mac : link.masterIndex.flatMap({ bridges[$0] })
      else { return nil }
      let age = now - (state.records.written(record.attachment.key) ?? .zero)
      return FastPathPlace(
        owner: "\(record.attachment.containerID) \(record.attachment.interfaceName)",
        pod: FastPathPod(link: link.index, mac: mac, gatewayMAC: gatewayMAC), addresses: record.addresses,
        // A clock that was set back makes nobody wait for longer.
        wait: (Duration.zero..<FastPathPods.longestADD).contains(age) ? FastPathPods.longestADD - age : .zero)
    }
  }
}
