internal import Addresses
internal import NodeRoutes
internal import NodeRules
internal import Nodes
internal import NodeState
internal import OwnNode

/// A report for people.
enum ReportText {
  /// One line for each node, this one first; then what else is wrong.
  static func lines(_ report: Reconciler.Report, _ rules: RulesReport) -> [String] {
    let subnets = report.lease?.subnets.map { "\($0.network)" }.joined(separator: ", ")
    var lines = ["\(report.own.node.name): this node, \(subnets ?? "without a subnet")"]
    var current: String?
    for peer in report.peers {
      if peer.node == current, let last = lines.popLast() {
        lines.append("\(last); \(phrase(peer))")
      } else {
        lines.append("\(peer.node): \(phrase(peer))")
        current = peer.node
      }
    }
    return lines + report.problems + rules.problems + report.warnings + rules.warnings
  }

  private static func phrase(_ peer: PeerRoute) -> String {
    var words = [peer.subnet.map(\.description) ?? "\(peer.family)"]
    if let gateway = peer.gateway, peer.subnet != nil { words.append("via \(gateway)") }
    if let link = peer.link { words.append("dev \(link)") }
    words.append(peer.stateName)
    return words.joined(separator: " ") + ((peer.reason ?? peer.detour).map { " (\($0))" } ?? "")
  }
}
