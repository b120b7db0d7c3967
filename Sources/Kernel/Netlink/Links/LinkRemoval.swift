internal import CLinux
internal import Glibc
internal import Linux

extension RouteSocket {
  /// Removes a link and returns when its name is free again and it passes no packets; false if there was no link.
  ///
  /// The kernel then waits for a grace period of some 25 ms, in which it holds no lock (net/core/dev.c,
  /// `unregister_netdevice_many`). A background child waits for it in place of the caller.
  ///
  /// - Parameters:
  ///   - name: the link's name, for messages.
  ///   - kept: sockets whose closing would wait for a grace period too; the child closes them last.
  package mutating func removeLinkAtOnce(
    _ index: Int32, name: String, keeping kept: [Int32] = []
  ) throws(NetlinkError) -> Bool {
    // Subscribed before the removal can happen.
    var events = try NetlinkSocket(family: NETLINK_ROUTE)
    try events.subscribe(to: [RTNLGRP_LINK.rawValue], bufferBytes: 1 << 20)
    let request = NetlinkRequest.removeLink(index, name: name)
    guard let child = RouteSocket.remover(request, keeping: kept) else {
      return try perform(request, accepting: ENODEV)
    }
    if try RouteSocket.awaitRemoval(of: index, &events, until: child.descriptor) { return true }
    switch try RouteSocket.exitCode(child) {
    case 0: return true
    case UInt8(ENODEV): return false
    case nil: return try perform(request, accepting: ENODEV)
    case let code?:
      throw .refused(operation: request.operation, subject: name, errno: Int32(code), reason: nil)
    }
  }

  /// Starts a child that sends the request and exits with the errno of the answer; `nil` if fork(2) fails.
  private static func remover(_ request: NetlinkRequest, keeping kept: [Int32]) -> BackgroundChild? {
    try? BackgroundChild(keeping: kept) {
      do throws(NetlinkError) {
        var socket = try NetlinkSocket(family: NETLINK_ROUTE)
        try socket.perform(request)
        return 0
      } catch {
        return UInt8(clamping: error.errno == 0 ? EIO : error.errno)
      }
    }
  }

  /// Waits for the kernel's notification of the link's removal; false if `end` becomes readable first.
  private static func awaitRemoval(
    of index: Int32, _ events: inout NetlinkSocket, until end: Int32
  ) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      while true {
        let notifications = try events.notifications(orReadable: end)
        if notifications.isEmpty { return false }
        for notification in notifications where notification.type == RouteMessage.deleteLink {
          let (header, _) = try notification.body(ifinfomsg.self)
          // A bridge port's removal from its bridge is notified separately (AF_BRIDGE), before the link's own.
          if header.ifi_index == index, Int32(header.ifi_family) == AF_UNSPEC { return true }
        }
      }
    } catch {
      // The lost notification may have been this one; the child's exit code shows the result.
      guard error.errno == ENOBUFS else { throw error }
      return false
    }
  }

  private static func exitCode(_ child: consuming BackgroundChild) throws(NetlinkError) -> UInt8? {
    do throws(SystemError) { return try child.exitCode() } catch { throw .socket(error) }
  }
}
