package import Netlink
internal import NodeState
package import OwnNode

extension NetworkState {
  /// Reads this node's state from the kernel.
  package static func read(_ socket: inout RouteSocket) throws(NetlinkError) -> NetworkState {
    var state = NetworkState(
      links: try socket.links(), addresses: try socket.addresses(),
      routes: try socket.routes(owner: RouteProtocol.helper, table: Route.mainTable),
      nextHops: try socket.nextHops(owner: RouteProtocol.helper))
    for link in state.links where TunnelDevice.isOurs(link) { state.entries += try socket.entries(on: link.index) }
    return state
  }
}
