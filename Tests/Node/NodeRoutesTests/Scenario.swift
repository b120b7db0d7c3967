import Addresses
import Backends
import Netlink
import NodeRoutes
import Nodes
import OwnNode

/// A small cluster and the kernel state of one machine: node `a` is this machine, with 192.0.2.1/24 and fd00:2::1/64 on
/// `eth0`.
struct Scenario {
  static let loopback = Link(index: 1, name: "lo", mtuBytes: 65536, flags: 0x1 | 0x8, hardwareType: 772)
  /// IFF_UP, IFF_BROADCAST and IFF_LOWER_UP.
  static func link(_ index: Int32, _ name: String, flags: UInt32 = 0x1 | 0x2 | 0x10000, mtuBytes: Int = 1500) -> Link {
    Link(index: index, name: name, mtuBytes: mtuBytes, flags: flags)
  }

  var snapshot: NodeSnapshot
  var state: NetworkState
  var selection = NodeSelection(hostName: "a")
  var guardsSubnets = false
  var takesOverFlannel = false

  /// - Parameter hasNextHops: whether the kernel supports next-hop objects.
  init(nodes count: Int = 3, dual: Bool = false, hasNextHops: Bool = true) {
    snapshot = NodeSnapshot(
      netConf: NetConf(
        networks: [prefix("10.244.0.0/16")] + (dual ? [prefix("fd00:10::/48")] : []), backend: HostGateway()),
      nodes: (1...max(count, 1)).map { Scenario.node($0, dual: dual) })
    state = NetworkState(
      links: [Scenario.loopback, Scenario.link(2, "eth0")],
      addresses: [
        LinkAddress(prefix("127.0.0.1/8"), linkIndex: 1), LinkAddress(prefix("192.0.2.1/24"), linkIndex: 2),
        LinkAddress(prefix("fd00:2::1/64"), linkIndex: 2),
      ], nextHops: hasNextHops ? NextHopTable(owned: [], takenIDs: []) : nil)
  }

  /// Node `number` of the cluster: 1 is `a`, 2 is `b`.
  static func node(_ number: Int, dual: Bool = false) -> Node {
    let name = number <= 26 ? String(UnicodeScalar(UInt8(96 + number))) : "n\(number)"
    let part = String(number, radix: 16)
    return Node(
      name: name,
      addresses: PerFamily(v4: address("192.0.2.\(number)"), v6: dual ? address("fd00:2::\(part)") : nil),
      subnets: PerFamily(
        v4: prefix("10.244.\(number).0/24"), v6: dual ? prefix("fd00:10:0:\(part)::/64") : nil))
  }

  func own() throws -> LocalNode { try LocalNode(snapshot, selection, state: state) }

  func plan(foreign: [Route] = []) throws -> RoutePlan {
    RoutePlan(
      snapshot, own: try own(), state: state, foreign: foreign, guardsSubnets: guardsSubnets,
      takesOverFlannel: takesOverFlannel)
  }

  /// Changes the state as the kernel would. Routes by next-hop object get the object's gateway and link.
  mutating func apply(_ plan: RoutePlan) {
    let changedHops = plan.newNextHops.map(\.noun) + plan.changedNextHops.map(\.noun)
    if var table = state.nextHops {
      let gone = Set(plan.staleNextHops.map(\.id) + changedHops.map(\.id))
      table.owned = table.owned.filter { !gone.contains($0.id) } + changedHops
      table.takenIDs = table.takenIDs.subtracting(plan.staleNextHops.map(\.id)).union(changedHops.map(\.id))
      state.nextHops = table
    }
    for route in plan.newRoutes.map(\.noun) + plan.changedRoutes.map(\.noun) {
      if let replaced = state.routes.firstIndex(where: {
        $0.destination == route.destination && ($0.priority ?? 0) == ($0.destination.family == .v4 ? 0 : 1024)
      }) {
        state.routes.remove(at: replaced)
      }
      state.routes.append(reported(route))
    }
    state.routes += plan.newBlackholes
    for entry in plan.newEntries.map(\.noun) {
      state.entries.removeAll { $0.slot == entry.slot }
      state.entries.append(entry)
    }
    state.entries.removeAll(where: plan.staleEntries.contains)
    for route in plan.staleRoutes {
      if let position = state.routes.firstIndex(of: route) { state.routes.remove(at: position) }
    }
  }

  private func reported(_ route: Route) -> Route {
    var route = route
    route.priority = route.destination.family == .v4 ? nil : 1024
    if let hop = state.nextHops?.owned.first(where: { $0.id == route.nextHopID }) {
      route.gateway = hop.gateway
      route.linkIndex = hop.linkIndex
    }
    return route
  }
}

func prefix(_ text: String) -> IPPrefix {
  guard let prefix = IPPrefix(text) else { preconditionFailure("\(text) is no prefix") }
  return prefix
}

func address(_ text: String) -> IPAddress {
  guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
  return address
}
