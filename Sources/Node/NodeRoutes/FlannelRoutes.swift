internal import Addresses
internal import Netlink
internal import Nodes

/// Routes that look like flannel's: of the protocol boot, to a part of the cluster's network, by the address of a node or,
/// through a tunnel, the first address of the node's subnet; or a blackhole for a node's subnet
/// (`--ip-blackhole-route`).
struct FlannelRoutes {
  let routes: Set<Route>

  /// - Parameter foreign: routes that are not the helper's.
  init(_ foreign: [Route], _ snapshot: NodeSnapshot) {
    let candidates = foreign.filter { FlannelRoutes.mayHold($0, networks: snapshot.netConf.networks) }
    guard !candidates.isEmpty else {
      routes = []
      return
    }
    let nodes = Set(snapshot.addresses)
    routes = Set(
      candidates.filter {
        $0.isBlackhole || $0.gateway.map(nodes.contains) ?? false || $0.gateway == $0.destination.address
      })
  }

  /// Whether owner and destination look like flannel's.
  static func mayHold(_ route: Route, networks: [IPPrefix]) -> Bool {
    route.owner == Route.bootOwner
      && networks.contains { $0.contains(route.destination) && $0.length < route.destination.length }
  }
}
