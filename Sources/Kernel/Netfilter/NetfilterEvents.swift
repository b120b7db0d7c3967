internal import CLinux
internal import Glibc
package import Linux
package import Netlink

/// The kernel's notifications of changes in nf_tables, as far as they concern one who keeps a table, and rules in chains
/// of others.
package struct NetfilterEvents: ~Copyable, Sendable {
  private var netlink: NetlinkSocket
  private let table: TableName
  private let comment: String

  /// Subscribes in the calling thread's namespace: nothing that happens after this is missed unsaid.
  ///
  /// - Parameters:
  ///   - table: whose every change counts.
  ///   - comment: the comment of rules that count wherever they are.
  package init(table: TableName, comment: String) throws(NetlinkError) {
    netlink = try NetfilterEvents.subscribed(NetlinkSocket(family: NETLINK_NETFILTER))
    self.table = table
    self.comment = comment
  }

  /// The same in another namespace.
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

  /// Waits at most `limit` for a change that counts: one of the table, of a rule with the comment, or of any chain that
  /// sees forwarded packets. Says whether one came.
  ///
  /// Notifications that were lost (ENOBUFS) count as such a change. What is no concern of ours, the elements of pods
  /// that come and go, ends no wait.
  package mutating func waitForChange(atMost limit: Duration) throws(NetlinkError) -> Bool {
    let deadline = MonotonicTime.now + limit
    var hasLost = false
    while true {
      do throws(NetlinkError) {
        // Once it has lost something the kernel drops all that comes, unsaid, until everything before it was read: only
        // who looks after that misses nothing.
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
    guard event.type >> 8 == UInt16(NFNL_SUBSYS_NFTABLES) else { return false }
    let (header, attributes) = try event.body(nfgenmsg.self)
    // Whatever a message is about, its first attribute is the table's name; but for a new generation, a number.
    let type = event.type & 0xFF
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
