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
  package func runningPods() throws(PodRulesError) -> [String] {
    var host = try fromNetlink(RouteSocket())
    return try fromNetlink(host.links()).compactMap { link in
      guard link.kind == "veth", let alias = link.alias, alias.hasPrefix(Attachment.aliasPrefix) else { return nil }
      return String(alias.dropFirst(Attachment.aliasPrefix.count))
    }.sorted()
  }

  /// Removes everything; only for a node without pods.
  ///
  /// - Returns: how many leases there were.
  package func remove() throws(PodRulesError) -> Int {
    var netfilter = try fromNetlink(NetfilterSocket())
    for rule in PodRule.all { try fromNetlink(rule.removeTable(&netfilter)) }
    var count = 0
    for directory in try fromSystem(state.records.all()).dataDirectories {
      for network in try fromSystem(Files.names(in: directory)) where !network.hasPrefix(".") {
        let leases = state.leases(of: network, in: directory)
        // A directory that only host-local has worked on is not the plugin's.
        if leases.isOurs { count += try fromIPAM(leases.collect(keeping: [])).count }
      }
    }
    var host = try fromNetlink(RouteSocket())
    host.stopAnswering(for: try fromSystem(state.records.all()).filter { $0.isRouted }.flatMap { $0.addresses })
    for record in try fromSystem(Files.names(in: state.records.path)) { try fromSystem(state.records.remove(record)) }
    return count
  }
}
