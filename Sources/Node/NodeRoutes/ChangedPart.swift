internal import Addresses
internal import Backends
internal import Netlink
internal import Nodes
internal import NodeState
internal import OwnNode

extension Reconciler.Report {
  /// Nodes that have changed, with the routes to their former state.
  struct Part {
    /// The nodes as they are now.
    let snapshot: NodeSnapshot
    /// State of the kernel, as far as it concerns them.
    let state: NetworkState
    /// Positions in `peers` of their former state.
    let peers: Range<Int>
  }

  /// Returns the shortest range of nodes that holds all changes; `nil` if other things have changed too, or if the last
  /// pass left something to do.
  func part(changedIn snapshot: NodeSnapshot) -> Part? {
    let old = basis.snapshot
    guard snapshot.netConf.backendType.hasIndependentRoutes else { return nil }
    // It must be certain which of the nodes this one is.
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
    // A refused or blocked route may have left a route, or a next hop without one.
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
  /// Whether its state describes all that the kernel has for it.
  fileprivate var hasCertainRoute: Bool {
    switch state {
    case .installed, .noSubnet, .skipped, .noAddress, .offLink, .unrouted: true
    case .missing, .failed, .blocked: false
    }
  }

  /// Route as it was installed.
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
