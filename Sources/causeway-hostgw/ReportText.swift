internal import Addresses
internal import Lease
internal import NodeRoutes
internal import NodeRules

/// A report for people.
enum ReportText {
  /// One line for each node, this one first; then what else is wrong.
  static func lines(_ report: Reconciler.Report) -> [String] {
    let subnets = report.lease.subnets.map { "\($0.network)" }.joined(separator: ", ")
    var lines = ["\(report.own.node.name): this node, \(subnets)"]
    var current: String?
    for peer in report.peers {
      if peer.node == current, let last = lines.popLast() {
        lines.append("\(last); \(phrase(peer))")
      } else {
        lines.append("\(peer.node): \(phrase(peer))")
        current = peer.node
      }
    }
    return lines + report.problems + report.warnings
  }

  private static func phrase(_ peer: PeerRoute) -> String {
    var words = [peer.subnet.map(\.description) ?? "\(peer.family)"]
    if let gateway = peer.gateway, peer.subnet != nil { words.append("via \(gateway)") }
    if let link = peer.link { words.append("dev \(link)") }
    words.append(peer.stateName)
    return words.joined(separator: " ") + (peer.reason.map { " (\($0))" } ?? "")
  }

  /// The rules on one line.
  static func rules(_ report: RulesReport, _ switches: RuleSwitches) -> String {
    let masquerade = switches.masquerade.map { "masquerade with \($0.rawValue) ports" } ?? "no masquerade"
    let forward = switches.forwards ? "forwarding accepted" : "forwarding left to others"
    let state = report.mayNotLook ? "can't be seen (try as root)" : report.table.rawValue
    return "\(masquerade), \(forward); table \(RulesReconciler.tableName) \(state)"
  }

  /// A table with a heading, its columns as wide as they must be.
  static func table(_ report: Reconciler.Report) -> [String] {
    var rows = [["NODE", "SUBNET", "NEXT HOP", "DEVICE", "STATE", "REASON"]]
    for peer in report.peers {
      rows.append([
        peer.node, peer.subnet.map(\.description) ?? "-", peer.gateway.map(\.description) ?? "-",
        peer.link ?? "-",
        peer.stateName, peer.reason ?? "",
      ])
    }
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { cell, width in
        cell + String(repeating: " ", count: width - cell.count)
      }
      let line = cells.joined(separator: "  ")
      return String(line[..<(line.lastIndex { $0 != " " }.map(line.index(after:)) ?? line.startIndex)])
    }
  }
}
