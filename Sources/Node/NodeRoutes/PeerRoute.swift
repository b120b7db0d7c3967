package import Addresses

/// State of the route to one other node in one family.
package struct PeerRoute: Sendable, Equatable {
  /// State of a route to another node.
  package enum State: Sendable, Equatable {
    /// The route is in the kernel.
    case installed
    /// The route is wanted, possible and absent.
    case missing
    /// The route is wanted and possible, but the kernel refused it.
    case failed(String)
    /// The node's address is on none of our links.
    case offLink(String)
    /// Another program's route has the same destination and metric.
    case blocked(String)
    /// The node has a subnet and no address to reach it by.
    case noAddress
    /// The node has no subnet of this family, so there is nothing to route.
    case noSubnet
    /// The store names the node and says why it can have no route, as of another backend.
    case skipped(String)
    /// The cluster's backend makes no routes.
    case unrouted
  }

  /// The node's name.
  package let node: String
  /// Family of the route.
  package let family: IPFamily
  /// Subnet of the node's pods; `nil` if it has none.
  package let subnet: IPPrefix?
  /// Address of the next hop; `nil` if there is none.
  package let gateway: IPAddress?
  /// The name of the link to the gateway, where it has one.
  package internal(set) var link: String?
  /// State of the route.
  package internal(set) var state: State
  /// Reason why it is reached through a tunnel, where neighbours are reached by plain routes.
  package internal(set) var detour: String?
  /// Index of that link, and the number of the gateway's next-hop object, if there is one.
  var linkIndex: Int32?
  var nextHopID: UInt32?

  /// The link of a route that is in the kernel.
  package var installedLink: Int32? { state == .installed ? linkIndex : nil }

  /// Whether all that is wanted is there.
  package var isSettled: Bool {
    switch state {
    case .installed, .noSubnet, .skipped, .unrouted: true
    case .missing, .failed, .offLink, .blocked, .noAddress: false
    }
  }

  /// The state as a word, the same in every output.
  package var stateName: String {
    switch state {
    case .installed: "installed"
    case .missing: "missing"
    case .failed: "failed"
    case .offLink: "off-link"
    case .blocked: "blocked"
    case .noAddress: "no-address"
    case .noSubnet: "no-subnet"
    case .skipped: "skipped"
    case .unrouted: "not-routed"
    }
  }

  /// Reason why there is no route, `nil` where the state says it all.
  package var reason: String? {
    switch state {
    case .failed(let reason), .offLink(let reason), .blocked(let reason), .skipped(let reason): reason
    case .noAddress: "the node has \(subnet.map { "\($0)" } ?? "a subnet") and no public \(family) address"
    case .installed, .missing, .noSubnet, .unrouted: nil
    }
  }
}
