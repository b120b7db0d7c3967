internal import Addresses
package import Netlink

/// What this node's kernel has: where it can send, and what the helper put there before.
package struct NetworkState: Sendable {
  package var links: [Link]
  package var addresses: [LinkAddress]
  /// The helper's routes of the main table.
  package var routes: [Route]
  /// The helper's next hops; `nil` where the kernel has none (before 5.3).
  package var nextHops: NextHopTable?

  /// `rtm_protocol` and `nh_protocol` of everything that the helper makes.
  package static let owner: UInt8 = 202

  package init(links: [Link], addresses: [LinkAddress], routes: [Route] = [], nextHops: NextHopTable? = nil) {
    self.links = links
    self.addresses = addresses
    self.routes = routes
    self.nextHops = nextHops
  }

  /// Asks the kernel.
  package static func read(_ socket: inout RouteSocket) throws(NetlinkError) -> NetworkState {
    NetworkState(
      links: try socket.links(), addresses: try socket.addresses(),
      routes: try socket.routes(owner: owner, table: Route.mainTable),
      nextHops: try socket.nextHops(owner: owner))
  }

  /// The link of an index.
  func link(_ index: Int32) -> Link? {
    links.first { $0.index == index }
  }

  /// The link that holds this very address.
  func link(holding address: IPAddress) -> Link? {
    addresses.first { $0.prefix.address == address }.flatMap { link($0.linkIndex) }
  }
}
