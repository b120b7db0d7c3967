internal import Addresses
internal import JSON
internal import Nodes
internal import NodeState
internal import OwnNode
package import Parts

extension Reconciler.Report: PartReport {
  package var actions: [Change] { changes.map(\.change) }
  package var repairs: [Change] { isRepair ? actions : [] }
  package var findings: [Finding] { ownFindings + peers.compactMap(Finding.noRoute) }
}

extension RouteChange {
  fileprivate var change: Change {
    Change(
      verb.rawValue,
      [
        .init(.node, node), .init(.subnet, subnet), .init(.nextHop, gateway), .init(.device, link),
      ])
  }
}

extension Reconciler.Report {
  /// The numbers of the nodes and of their routes.
  var metrics: [Metric] {
    let peers = peers.filter(\.isWanted)
    // A store that gives leases has this node apart from the others.
    let count = nodes.nodes.count + (nodes.own == nil ? 0 : 1)
    func gauge(_ name: String, _ help: String, _ states: String...) -> Metric {
      Metric(.gauge, name, help, Double(peers.count { states.isEmpty || states.contains($0.stateName) }))
    }
    return [
      Metric(.gauge, "causeway_nodes", "Nodes of the cluster, this one among them.", Double(count)),
      gauge("causeway_routes_wanted", "Routes to other nodes' subnets that there should be."),
      gauge("causeway_routes_installed", "Those that are in the kernel.", "installed"),
      gauge(
        "causeway_routes_failed", "Those that the kernel refused or another program's route is in the way of.",
        "failed", "blocked", "missing"),
      gauge("causeway_peers_off_link", "Those whose node is not on this node's layer-2 network.", "off-link"),
    ]
  }

  /// One line for each node, this one first.
  var lines: [String] {
    let subnets = lease?.subnets.map { "\($0.network)" }.joined(separator: ", ")
    var lines = ["\(own.node.name): this node, \(subnets ?? "without a subnet")"]
    var current: String?
    for peer in peers {
      if peer.node == current, let last = lines.popLast() {
        lines.append("\(last); \(peer.phrase)")
      } else {
        lines.append("\(peer.node): \(peer.phrase)")
        current = peer.node
      }
    }
    return lines
  }
}

extension PeerRoute {
  /// The row of `status --json`.
  var json: JSONValue {
    [
      "node": .string(node), "family": .string("\(family)"), "subnet": subnet.map { .string("\($0)") } ?? .null,
      "nextHop": gateway.map { .string("\($0)") } ?? .null, "device": link.map { .string($0) } ?? .null,
      "state": .string(stateName), "reason": (reason ?? detour).map { .string($0) } ?? .null,
    ]
  }

  /// The route in the output of `sync`.
  fileprivate var phrase: String {
    var words = [subnet.map(\.description) ?? "\(family)"]
    if let gateway, subnet != nil { words.append("via \(gateway)") }
    if let link { words.append("dev \(link)") }
    words.append(stateName)
    return words.joined(separator: " ") + ((reason ?? detour).map { " (\($0))" } ?? "")
  }

  /// Whether there should be a route.
  fileprivate var isWanted: Bool {
    switch state {
    case .noSubnet, .skipped, .unrouted: false
    case .installed, .missing, .failed, .offLink, .blocked, .noAddress: true
    }
  }
}
