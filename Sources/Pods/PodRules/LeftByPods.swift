internal import Addresses
internal import Attachments
internal import IPAM
internal import Linux
internal import Netfilter
internal import Netlink
internal import NodeState

/// What the plugin keeps on a node: its tables, leases and records. All of it goes with the pods; what is left of pods
/// that were never deleted is removed here, when the plugin leaves a node.
package struct LeftByPods: Sendable {
  private let state: StateDirectory

  package init(stateDirectory: String) {
    state = StateDirectory(stateDirectory)
  }

  /// The pods whose cable is still here.
  package func runningPods() throws -> [String] {
    var host = try RouteSocket()
    return try host.links().compactMap { link in
      guard link.kind == "veth", let alias = link.alias, alias.hasPrefix(Attachment.aliasPrefix) else { return nil }
      return String(alias.dropFirst(Attachment.aliasPrefix.count))
    }.sorted()
  }

  /// Removes all of it and says how many leases that were; only for a node without pods.
  package func remove() throws -> Int {
    var netfilter = try NetfilterSocket()
    try Masquerade.removeTable(&netfilter)
    try SpoofGuard.removeTable(&netfilter)
    try SourceGuard.removeTable(&netfilter)
    var count = 0
    for directory in try state.records.all().dataDirectories {
      for network in try Files.names(in: directory) where !network.hasPrefix(".") {
        let leases = LeaseDirectory(network, dataDirectory: directory, state.path, isFromLease: false)
        // What only host-local has worked on is not the plugin's.
        if leases.isOurs { count += try leases.collect(keeping: []).count }
      }
    }
    var host = try RouteSocket()
    host.stopAnswering(for: try state.records.all().filter(\.isRouted).flatMap(\.addresses))
    for record in try Files.names(in: state.records.path) { try state.records.remove(record) }
    return count
  }
}
