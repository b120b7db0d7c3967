internal import Addresses
internal import Attachments
internal import IPAM
internal import Linux
internal import Netfilter
internal import Netlink
internal import NodeState

/// Tables, leases and records that the plugin keeps on a node. DEL removes them with the pods; this removes what is left
/// of pods that were never deleted, when the plugin leaves a node.
package struct LeftByPods: Sendable {
  private let state: StateDirectory

  package init(stateDirectory: String) {
    state = StateDirectory(stateDirectory)
  }

  /// Keys of the attachments whose veth pair is still here, in order.
  package func runningPods() throws -> [String] {
    var host = try RouteSocket()
    return try host.links().compactMap { link in
      guard link.kind == "veth", let alias = link.alias, alias.hasPrefix(Attachment.aliasPrefix) else { return nil }
      return String(alias.dropFirst(Attachment.aliasPrefix.count))
    }.sorted()
  }

  /// Removes everything; only for a node without pods.
  ///
  /// - Returns: how many leases there were.
  package func remove() throws -> Int {
    var netfilter = try NetfilterSocket()
    for rule in PodRule.all { try rule.removeTable(&netfilter) }
    var count = 0
    for directory in try state.records.all().dataDirectories {
      for network in try Files.names(in: directory) where !network.hasPrefix(".") {
        let leases = state.leases(of: network, in: directory)
        // A directory that only host-local has worked on is not the plugin's.
        if leases.isOurs { count += try leases.collect(keeping: []).count }
      }
    }
    var host = try RouteSocket()
    host.stopAnswering(for: try state.records.all().filter { $0.isRouted }.flatMap { $0.addresses })
    for record in try Files.names(in: state.records.path) { try state.records.remove(record) }
    return count
  }
}
