internal import Addresses
internal import Netlink

/// Finds the routes to each destination; what nobody asked for is left over.
struct RoutesByDestination {
  /// Those of one destination stand together.
  private let routes: [Route]
  private var ranges: [IPPrefix: Range<Int>]

  init(_ routes: [Route]) {
    // The kernel lists them in the order of destinations, so that nothing is to be sorted.
    if let ranges = RoutesByDestination.ranges(routes) {
      self.routes = routes
      self.ranges = ranges
    } else {
      self.routes = Dictionary(grouping: routes, by: \.destination).values.flatMap { $0 }
      ranges = RoutesByDestination.ranges(self.routes) ?? [:]
    }
  }

  /// `nil` where the routes of some destination are apart.
  private static func ranges(_ routes: [Route]) -> [IPPrefix: Range<Int>]? {
    var ranges: [IPPrefix: Range<Int>] = [:]
    ranges.reserveCapacity(routes.count)
    var start = 0
    for position in routes.indices {
      let destination = routes[position].destination
      if position + 1 < routes.count, routes[position + 1].destination == destination { continue }
      if ranges.updateValue(start..<(position + 1), forKey: destination) != nil { return nil }
      start = position + 1
    }
    return ranges
  }

  func has(_ destination: IPPrefix) -> Bool { ranges[destination] != nil }

  /// Those of a destination; nobody gets them again.
  mutating func take(_ destination: IPPrefix) -> ArraySlice<Route> {
    ranges.removeValue(forKey: destination).map { routes[$0] } ?? []
  }

  /// Those that nobody took.
  var rest: [Route] { ranges.values.flatMap { routes[$0] } }
}
