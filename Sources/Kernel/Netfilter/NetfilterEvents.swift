internal import CLinux
internal import Glibc
package import Linux
package import Netlink

/// A subscription to changes in nf_tables, for the owner of a table and of rules in other programs' chains.
package struct NetfilterEvents: ~Copyable, Sendable {
  private var netlink: NetlinkSocket
  private let table: TableName
  private let comment: String

  /// Subscribes in the calling thread's namespace: every later change is reported, or its loss is.
  ///
  /// - Parameters:
  ///   - table: the table of which every change counts.
  ///   - comment: the comment of rules that count in any table.
  package init(table: TableName, comment: String) throws(NetlinkError) {
    netlink = try NetfilterEvents.subscribed(NetlinkSocket(family: NETLINK_NETFILTER))
    self.table = table
    self.comment = comment
  }

  /// Subscribes in another network namespace.
  ///
  /// - Parameters:
  ///   - table: the table of which every change counts.
  ///   - comment: the comment of rules that count in any table.
  package init(
    in namespace: borrowing NetworkNamespace, table: TableName, comment: String
  ) throws(NetlinkError) {
    netlink = try NetfilterEvents.subscribed(NetlinkSocket(family: NETLINK_NETFILTER, in: namespace))
    self.table = table
    self.comment = comment
  }

  private static func subscribed(_ netlink: consuming NetlinkSocket) throws(NetlinkError) -> NetlinkSocket {
    try netlink.subscribe(to: [UInt32(NFNLGRP_NFTABLES.rawValue)], bufferBytes: 4 << 20)
    return netlink
  }

  /// Waits at most `limit` for a change of the table, of a rule with the comment, or of any chain at the forward hook;
  /// true if one was notified.
  ///
  /// Lost notifications (ENOBUFS) count as such a change. Other changes, such as elements of single pods, do not end
  /// the wait.
  package mutating func waitForChange(atMost limit: Duration) throws(NetlinkError) -> Bool {
    let deadline = MonotonicTime.now + limit
    var hasLost = false
    while true {
      do throws(NetlinkError) {
        // After a loss the kernel silently drops further notifications until all pending ones were read. The caller
        // misses nothing only if it reads the state after that.
        let events = try netlink.notifications(
          waitingAtMost: hasLost ? .zero : max(.zero, deadline - MonotonicTime.now))
        if hasLost && events.isEmpty { return true }
        if !hasLost {
          for event in events where try counts(event) { return true }
        }
      } catch {
        guard error.errno == ENOBUFS else { throw error }
        hasLost = true
      }
      if !hasLost && MonotonicTime.now >= deadline { return false }
    }
  }

  private func counts(_ event: NetlinkReply) throws(NetlinkError) -> Bool {
    guard event.type >> NFTMessage.subsystemShift == UInt16(NFNL_SUBSYS_NFTABLES) else { return false }
    let (header, attributes) = try event.body(nfgenmsg.self)
    // The first attribute of every message is the table's name, except for a new generation: there it is a number.
    let type = event.type & NFTMessage.typeMask
    if type != NFTMessage.newGeneration, header.nfgen_family == table.family.kernelValue,
      attributes.string(NFTAttribute.tableName) == table.name
    {
      return true
    }
    switch type {
    case NFTMessage.newRule, NFTMessage.deleteRule:
      return attributes[NFTAttribute.ruleUserData].flatMap { UserDataComment.read($0) } == comment
    case NFTMessage.newChain, NFTMessage.deleteChain:
      return try attributes.nest(NFTAttribute.chainHook).flatMap(ForwardChain.hookNumber) == ForwardChain.hook
    default: return false
    }
  }
}
