internal import Glibc
package import Netlink

extension Filter {
  /// Whether the filter is one of the fast path's programs at our priority.
  package var isOurs: Bool {
    priority == Filter.ourPriority && FastPathProgram.allCases.contains { $0.rawValue == program?.name }
  }
}

extension RouteSocket {
  /// Removes the fast path's programs from a link, and its `clsact` qdisc if no filter of others is left there.
  ///
  /// - Returns: whether there was a program of ours.
  @discardableResult
  package mutating func removeOurFilters(from link: Int32) throws(NetlinkError) -> Bool {
    var (ours, others) = (false, false)
    for hook in FilterHook.allCases {
      for filter in try filters(at: hook, of: link) {
        guard filter.isOurs else {
          others = true
          continue
        }
        ours = true
        try perform(.removeFilter(at: hook, of: link), accepting: ENOENT, ENODEV, EINVAL)
      }
    }
    if ours && !others { try perform(.removeFilterHooks(from: link), accepting: ENOENT, ENODEV, EINVAL) }
    return ours
  }
}
