internal import CLinux
internal import Glibc
package import Linux

/// A socket for links, addresses, routes and next hops (rtnetlink(7)).
///
/// What changes something is a `NetlinkRequest` made by the verbs of each noun, so that requests can be packed;
/// what asks is a method here.
package struct RouteSocket: ~Copyable, Sendable {
  var netlink: NetlinkSocket

  /// In the calling thread's network namespace.
  ///
  /// - Parameter port: what notifications of this socket's changes bear (`nlmsg_pid`), where it is free.
  package init(port: UInt32 = 0) throws(NetlinkError) {
    netlink = try NetlinkSocket(family: NETLINK_ROUTE, port: port)
  }

  /// In another namespace; the caller's own stays as it is. `body` runs there first, on the same visit.
  package init(
    in namespace: borrowing NetworkNamespace, after body: () throws(SystemError) -> Void = {}
  ) throws(NetlinkError) {
    netlink = try NetlinkSocket(family: NETLINK_ROUTE, in: namespace, after: body)
  }

  /// Does one thing, or throws why the kernel would not.
  package mutating func perform(_ request: NetlinkRequest) throws(NetlinkError) {
    try netlink.perform(request)
  }

  /// Does one thing; an answer with one of these errnos is fine too. Says whether the thing was done.
  @discardableResult
  package mutating func perform(
    _ request: NetlinkRequest, accepting errnos: Int32...
  ) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      try netlink.perform(request)
      return true
    } catch {
      if errnos.contains(error.errno) { return false }
      throw error
    }
  }

  /// Does many things in packed messages and says of each whether it failed.
  package mutating func perform(_ requests: [NetlinkRequest]) throws(NetlinkError) -> [NetlinkError?] {
    try netlink.perform(requests)
  }
}
