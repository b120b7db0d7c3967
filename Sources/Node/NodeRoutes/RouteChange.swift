package import Addresses
internal import Netlink

/// One thing that was done to the kernel's routes, for the log.
package struct RouteChange: Sendable, Equatable {
  package enum Verb: String, Sendable {
    case added = "route added"
    case replaced = "route replaced"
    case moved = "next hop moved to another link"
    case removed = "route removed"
    case deviceMade = "device made"
    case deviceChanged = "device put right"
    case deviceRemoved = "device removed"
    case neighbourSet = "neighbour set"
    case forwardingSet = "forwarding entry set"
    case shut = "blackhole route added"
  }

  package let verb: Verb
  /// The node that the route leads to; `nil` for a route that nobody wants any more.
  package let node: String?
  package let subnet: IPPrefix?
  package let gateway: IPAddress?
  package let link: String?
}

extension RouteChange {
  init(_ verb: Verb, _ peer: PeerRoute) {
    self.init(verb: verb, node: peer.node, subnet: peer.subnet, gateway: peer.gateway, link: peer.link)
  }

  /// For a tunnel's device.
  init(verb: Verb, device: String) {
    self.init(verb: verb, node: nil, subnet: nil, gateway: nil, link: device)
  }

  /// For a route that leads to no other node.
  init(verb: Verb, _ route: Route) {
    self.init(verb: verb, node: nil, subnet: route.destination, gateway: route.gateway, link: nil)
  }
}
