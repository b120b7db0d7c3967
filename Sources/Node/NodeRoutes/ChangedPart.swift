internal import Addresses
internal import Netlink
internal import Nodes
internal import NodeState
internal import OwnNode

extension Reconciler.Report {
  /// The nodes that have changed, with the routes that lead to what they were.
  struct Part {
    /// As they are now.
    let snapshot: NodeSnapshot
    /// No more of the kernel than concerns them.
    let state: NetworkState
    /// The positions in `peers` of what they were.
    let peers: Range<Int>
  }

  /// The shortest stretch of nodes that holds all changes; `nil` where other things have changed too, or where the last
  /// pass left something to do.
  func part(changedIn snapshot: NodeSnapshot) -> Part? {
    let old = basis.snapshot
    // What tunnels need hangs together: several nodes' routes may share an entry.
    guard snapshot.netConf.backend == .hostGateway else { return nil }
    // Which of the nodes this one is must be out of the question.
    guard snapshot.own != nil, snapshot.own == old.own, snapshot.netConf == old.netConf, snapshot.mark == old.mark,
      problems.isEmpty
    else { return nil }
    let families = own.families(of: snapshot.netConf).count
    guard peers.count == old.nodes.count * families else { return nil }
    let common = min(old.nodes.count, snapshot.nodes.count)
    let start = (0..<common).first { old.nodes[$0] != snapshot.nodes[$0] } ?? common
    let end =
      (0..<(common - start)).first {
        old.nodes[old.nodes.count - 1 - $0] != snapshot.nodes[snapshot.nodes.count - 1 - $0]
      } ?? common - start
    let changed = Array(snapshot.nodes[start..<(snapshot.nodes.count - end)])
    guard !changed.contains(where: { $0.name == own.node.name }) else { return nil }
    let before = (start * families)..<((old.nodes.count - end) * families)
    // What was refused or stood in the way may have left a route, or a next hop without one.
    guard peers[before].allSatisfy(\.hasCertainRoute) else { return nil }
    return Part(
      snapshot: NodeSnapshot(netConf: snapshot.netConf, nodes: changed, own: snapshot.own),
      state: NetworkState(
        links: [], addresses: [], routes: peers[before].compactMap(\.route),
        nextHops: basis.takenNumbers.map { NextHopTable(owned: peers[before].compactMap(\.nextHop), takenIDs: $0) }),
      peers: before)
  }
}

extension PeerRoute {
  /// Whether its state says all of what is in the kernel for it.
  fileprivate var hasCertainRoute: Bool {
    switch state {
    case .installed, .noSubnet, .skipped, .noAddress, .offLink, .unrouted: true
    case .missing, .failed, .blocked: false
    }
  }

  /// The route as it was put in place.
  fileprivate var route: Route? {
    guard state == .installed, let subnet else { return nil }
    if let nextHopID { return Route(subnet, nextHopID: nextHopID, owner: RouteProtocol.helper) }
    return Route(subnet, via: gateway, linkIndex: linkIndex, owner: RouteProtocol.helper)
  }

  fileprivate var nextHop: NextHop? {
    guard state == .installed, let nextHopID, let gateway, let linkIndex else { return nil }
    return NextHop(id: nextHopID, gateway: gateway, linkIndex: linkIndex, owner: RouteProtocol.helper)
  }
}
