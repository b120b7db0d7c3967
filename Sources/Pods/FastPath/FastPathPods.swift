internal import Addresses
internal import Attachments
package import Linux
package import Netlink
internal import NodeState

/// Finds the pods of this node that may use the fast path, from the plugin's records and the kernel's links.
package struct FastPathPods: Sendable {
  private let state: StateDirectory

  /// Time that a plugin chain may run after our ADD before the helper attaches the fast path itself.
  private static let longestADD = Duration.seconds(5)

  /// Creates a finder that reads the records below this state directory.
  package init(stateDirectory: String) {
    state = StateDirectory(stateDirectory)
  }

  /// The interfaces of pods that may use the fast path.
  ///
  /// - Parameter links: all links of the node's network namespace.
  package func places(_ links: [Link]) throws(SystemError) -> [FastPathPlace] {
    var byName: [String: Link] = [:]
    var bridges: [Int32: MACAddress] = [:]
    for link in links {
      byName[link.name] = link
      if link.kind == "bridge" { bridges[link.index] = link.mac }
    }
    let now = MonotonicTime.sinceEpoch
    return try state.records.all().compactMap { record -> FastPathPlace? in
      guard record.mayUseFastPath, let mac = record.mac, let link = byName[record.hostLink],
        // A link that is down must not carry packets, but the programs redirect to the pod's end without checking it.
        link.alias == record.attachment.linkAlias, link.isUp,
        let gatewayMAC = record.isRouted ? link.mac : link.masterIndex.flatMap({ bridges[$0] })
      else { return nil }
      let age = now - (state.records.written(record.attachment.key) ?? .zero)
      return FastPathPlace(
        owner: "\(record.attachment.containerID) \(record.attachment.interfaceName)",
        pod: FastPathPod(link: link.index, mac: mac, gatewayMAC: gatewayMAC), addresses: record.addresses,
        // An age outside of the range means that the clock was set: no wait then.
        wait: (Duration.zero..<FastPathPods.longestADD).contains(age) ? FastPathPods.longestADD - age : .zero)
    }
  }
}
