internal import Addresses
internal import Attachments
internal import Linux
package import Netlink
internal import NodeState

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
    return try state.records.all().compactMap { record -> FastPathPlace? in
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
