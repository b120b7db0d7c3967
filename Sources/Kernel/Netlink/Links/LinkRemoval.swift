internal import CLinux
internal import Glibc
internal import Linux

extension RouteSocket {
  /// Removes a link and returns when it is gone from the namespace, its name free again and no packet able to pass; the
  /// kernel's grace period after that (net/core/dev.c, `unregister_netdevice_many`), some 25 ms in which nothing is
  /// locked, is sat out by a copy of this process. Says whether the link was there.
  ///
  /// - Parameter kept: sockets whose closing would wait for a grace period too; the copy closes them last.
  package mutating func removeLinkAtOnce(
    _ index: Int32, name: String, keeping kept: [Int32] = []
  ) throws(NetlinkError) -> Bool {
    // Listened for before it can happen.
    var events = try NetlinkSocket(family: NETLINK_ROUTE)
    try events.subscribe(to: [RTNLGRP_LINK.rawValue], bufferBytes: 1 << 20)
    let request = NetlinkRequest.removeLink(index, name: name)
    guard let offshoot = RouteSocket.remover(request, keeping: kept) else {
      return try perform(request, accepting: ENODEV)
    }
    if try RouteSocket.hears(of: index, &events, until: offshoot.descriptor) { return true }
    switch try RouteSocket.exitCode(offshoot) {
    case 0: return true
    case UInt8(ENODEV): return false
    case nil: return try perform(request, accepting: ENODEV)
    case let code?:
      throw .refused(operation: request.operation, subject: name, errno: Int32(code), reason: nil)
    }
  }

  /// The copy that asks the kernel, and exits with the errno of its answer; `nil` where there can be none.
  private static func remover(_ request: NetlinkRequest, keeping kept: [Int32]) -> Offshoot? {
    try? Offshoot(keeping: kept) {
      do throws(NetlinkError) {
        var socket = try NetlinkSocket(family: NETLINK_ROUTE)
        try socket.perform(request)
        return 0
      } catch {
        return UInt8(clamping: error.errno == 0 ? EIO : error.errno)
      }
    }
  }

  /// Whether the kernel tells of the link's removal before `end` can be read.
  private static func hears(
    of index: Int32, _ events: inout NetlinkSocket, until end: Int32
  ) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      while true {
        let notifications = try events.notifications(orReadable: end)
        if notifications.isEmpty { return false }
        for notification in notifications where notification.type == RouteMessage.deleteLink {
          let (header, _) = try notification.body(ifinfomsg.self)
          // A bridge's port is told of on its own (AF_BRIDGE), before the link itself.
          if header.ifi_index == index, Int32(header.ifi_family) == AF_UNSPEC { return true }
        }
      }
    } catch {
      // What was lost may have been it: the copy's end says so too.
      guard error.errno == ENOBUFS else { throw error }
      return false
    }
  }

  private static func exitCode(_ offshoot: consuming Offshoot) throws(NetlinkError) -> UInt8? {
    do throws(SystemError) { return try offshoot.exitCode() } catch { throw .socket(error) }
  }
}
