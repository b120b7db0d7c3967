internal import Addresses
internal import Netlink
internal import NodeState
internal import OwnNode

extension Route {
  /// Whether the metric is the default one: only such routes replace or block each other.
  var hasDefaultMetric: Bool {
    let usual: UInt32 = destination.family == .v4 ? 0 : 1024
    return (priority ?? usual) == usual
  }

  /// Whether this route, as the kernel reports it, is the wanted one. The kernel reports a route by a next-hop object
  /// with that object's gateway and link too.
  func stands(for wanted: Route) -> Bool {
    guard destination == wanted.destination, type == wanted.type, hasDefaultMetric,
      nextHopID == wanted.nextHopID, mtuBytes == wanted.mtuBytes
    else { return false }
    return nextHopID != nil || (gateway == wanted.gateway && linkIndex == wanted.linkIndex)
  }

  /// Worst metric. A better one would take the pods' own packets while the bridge has no address yet.
  private static let worstMetric = UInt32.max

  /// Helper's route that drops packets to addresses of a subnet that no pod has. They would go back by the default
  /// route otherwise.
  static func blackhole(_ subnet: IPPrefix) -> Route {
    Route(subnet, owner: RouteProtocol.helper, priority: worstMetric, type: blackholeType)
  }

  /// Whether it is a blackhole behind all other routes.
  var isLastBlackhole: Bool { isBlackhole && priority == Route.worstMetric }

  /// Whether the kernel holds only one of the two.
  func isInPlace(of route: Route) -> Bool {
    destination == route.destination && (priority ?? 0) == (route.priority ?? 0)
  }

  /// Route as a request to remove it must name it: a next-hop object and its gateway together are refused
  /// (net/ipv4/fib_frontend.c, `rtm_to_fib_config`).
  var removable: Route {
    var route = self
    if nextHopID != nil {
      route.gateway = nil
      route.linkIndex = nil
    }
    route.mtuBytes = nil
    route.advertisedMSSBytes = nil
    return route
  }
}

extension NetworkState {
  /// Describes another program's route that is in our way, in the words of `ip route`, with the remedy.
  func description(ofForeign route: Route, isFlannels: Bool) -> String {
    var words = [Protocols.name(route.owner)]
    if let gateway = route.gateway { words.append("via \(gateway)") }
    if let link = route.linkIndex.flatMap(link) { words.append("dev \(link.name)") }
    if route.gateway == nil && route.linkIndex == nil { words.append("of type \(route.type)") }
    let remedy =
      isFlannels ? "it may be flannel's: --take-over-flannel replaces it" : "remove it, or give the node another subnet"
    return
      "another program's route to \(route.destination) (\(words.joined(separator: " "))) is in the way; \(remedy)"
  }

  private enum Protocols {
    /// Name in iproute2's `rt_protos`.
    static func name(_ number: UInt8) -> String {
      let names: [UInt8: String] = [
        2: "kernel", 3: "boot", 4: "static", 9: "ra", 11: "zebra", 12: "bird", 16: "dhcp", 17: "keepalived",
        186: "bgp",
        187: "isis", 188: "ospf", 189: "rip", 192: "eigrp", 202: "causeway", 203: "causeway-pod",
      ]
      return "proto \(names[number] ?? "\(number)")"
    }
  }
}
