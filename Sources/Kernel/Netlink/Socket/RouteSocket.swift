internal import CLinux
internal import Glibc
package import Linux

/// A socket for links, addresses, routes, next hops and neighbours (rtnetlink(7)).
///
/// Changes are `NetlinkRequest` values, so that many can be sent in one datagram; queries are methods of this type.
package struct RouteSocket: ~Copyable, Sendable {
  var netlink: NetlinkSocket

  /// Opens a socket in the calling thread's network namespace.
  ///
  /// - Parameter port: the port ID that notifications of this socket's changes carry (`nlmsg_pid`), if it is free.
  package init(port: UInt32 = 0) throws(NetlinkError) {
    netlink = try NetlinkSocket(family: NETLINK_ROUTE, port: port)
  }

  /// Opens a socket in another network namespace.
  ///
  /// - Parameter body: runs in the namespace before the socket is opened.
  package init(
    in namespace: borrowing NetworkNamespace, after body: () throws(SystemError) -> Void = {}
  ) throws(NetlinkError) {
    netlink = try NetlinkSocket(family: NETLINK_ROUTE, in: namespace, after: body)
  }

  /// Carries out one request; throws if the kernel refuses it.
  package mutating func perform(_ request: NetlinkRequest) throws(NetlinkError) {
    try netlink.perform(request)
  }

  /// Carries out one request; false if the kernel refused it with one of these errnos.
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

  /// Carries out many requests in few datagrams; returns for each request its error, or `nil`.
  package mutating func perform(_ requests: [NetlinkRequest]) throws(NetlinkError) -> [NetlinkError?] {
    try netlink.perform(requests)
  }
}
