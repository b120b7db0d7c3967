package import Netfilter
package import Netlink

/// Masquerade rules that the reference plugins made in their own table, `inet cni_plugins_masquerade`: one for each
/// address, marked by a comment. The chains stay, as the reference leaves them.
package enum ReferenceMasquerade {
  /// Chain with all these rules; without it there is nothing to remove.
  package static let chain = ChainName("masq_checks", in: TableName(.inet, "cni_plugins_masquerade"))

  /// Removes the attachment's rules; absence is success.
  package static func remove(
    _ names: ReferenceNames, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    try remove(&netfilter) { $0.hasPrefix(names.mark) }
  }

  /// Removes the rules of the network's attachments that are not among `valid`.
  package static func collect(
    network: String, keeping valid: [ReferenceNames], _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    let mark = ReferenceNames.mark(network: network)
    let kept = valid.map { $0.mark }
    try remove(&netfilter) { comment in
      comment.hasPrefix(mark) && !kept.contains { comment.hasPrefix($0) }
    }
  }

  private static func remove(
    _ netfilter: inout NetfilterSocket, where isUnwanted: (String) -> Bool
  ) throws(NetlinkError) {
    try netfilter.removeAll { netfilter throws(NetlinkError) in
      try netfilter.rules(of: chain).filter { isUnwanted($0.comment) }.map { .removeRule($0) }
    }
  }
}
