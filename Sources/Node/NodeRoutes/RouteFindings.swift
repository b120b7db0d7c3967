internal import Parts

extension Finding {
  /// Something is wrong with this node itself, such as a missing address.
  static func ownNode(_ words: String) -> Finding {
    Finding("CW-RT-01", .fault, words, remedy: "Correct this node's entry in the store, or its links and addresses.")
  }

  /// The kernel has refused a change of routes, next hops or devices.
  static func routeRefused(_ words: String) -> Finding {
    Finding("CW-RT-02", .fault, words, remedy: "Compare `ip route show proto 202` with `causeway-hostgw status`.")
  }

  /// Flannel's routes are still there.
  static func flannelRoutesLeft(_ words: String) -> Finding {
    Finding("CW-RT-03", .warning, words, remedy: "Start the agent with --take-over-flannel.")
  }

  /// A peer's pods cannot be reached in one family.
  static func noRoute(_ peer: PeerRoute) -> Finding? {
    guard let subnet = peer.subnet, let reason = peer.reason else { return nil }
    return Finding(
      "CW-RT-04", .warning, "no route: \(reason)", remedy: "See the node's row in `causeway-hostgw status`.",
      subject: [.init(.node, peer.node), .init(.subnet, "\(subnet)")])
  }

  /// A tunnel device is missing or cannot be used.
  static func tunnelDevice(_ words: String) -> Finding {
    Finding("CW-TUN-01", .fault, words, remedy: "Remove what is in the device's way; the agent makes the device again.")
  }
}
