internal import Addresses
internal import Netlink

/// Finds the routes to each destination; routes that were not taken are stale.
struct RoutesByDestination {
  /// Routes, those of one destination side by side.
  private let routes: [Route]
  private var ranges: [IPPrefix: Range<Int>]

  init(_ routes: [Route]) {
    // The kernel lists them in the order of destinations, so that no sort is needed.
    if let ranges = RoutesByDestination.ranges(routes) {
      self.routes = routes
      self.ranges = ranges
    } else {
      self.routes = Dictionary(grouping: routes, by: \.destination).values.flatMap { $0 }
      ranges = RoutesByDestination.ranges(self.routes) ?? [:]
    }
  }

  /// Returns the range of each destination; `nil` if the routes of one are not side by side.
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

  /// Returns the routes of a destination, once.
  mutating func take(_ destination: IPPrefix) -> ArraySlice<Route> {
    ranges.removeValue(forKey: destination).map { routes[$0] } ?? []
  }

  /// Routes that were not taken.
  var rest: [Route] { ranges.values.flatMap { routes[$0] } }
}
