package import Addresses
internal import Netlink

/// One change of the kernel's routes, for the log.
package struct RouteChange: Sendable, Equatable {
  /// Action on a route, next hop, device or entry, in the words of the log.
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

    /// Verbs of entries of tunnel devices, in the order in which entries are set.
    static let entriesSet: [Verb] = [.neighbourSet, .forwardingSet]
  }

  /// Action that was done.
  package let verb: Verb
  /// Name of the node that the route leads to; `nil` for a stale route.
  package let node: String?
  /// Destination of the route.
  package let subnet: IPPrefix?
  /// Address of the next hop.
  package let gateway: IPAddress?
  /// Name of the link that the route uses.
  package let link: String?
}

extension RouteChange {
  init(_ verb: Verb, _ peer: PeerRoute) {
    self.init(verb: verb, node: peer.node, subnet: peer.subnet, gateway: peer.gateway, link: peer.link)
  }

  /// Change of a tunnel device.
  init(verb: Verb, device: String) {
    self.init(verb: verb, node: nil, subnet: nil, gateway: nil, link: device)
  }

  /// Change of a route that leads to no other node.
  init(verb: Verb, _ route: Route) {
    self.init(verb: verb, node: nil, subnet: route.destination, gateway: route.gateway, link: nil)
  }
}

extension DeviceEntry {
  /// Verb of setting this entry.
  var verb: RouteChange.Verb {
    switch self {
    case .neighbour: .neighbourSet
    case .forwarding: .forwardingSet
    }
  }
}
