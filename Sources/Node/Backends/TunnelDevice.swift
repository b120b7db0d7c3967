package import Addresses
package import Netlink

/// Tunnel device that this node must have.
package struct TunnelDevice: Sendable, Equatable {
  /// Name of the link.
  package let name: String
  /// Kind of the tunnel, with its settings.
  package let kind: TunnelKind
  /// `nil` if the kernel may choose.
  package let mac: MACAddress?
  /// MTU of the device, in bytes.
  package let mtuBytes: Int
  /// Source address of the node's own packets through the tunnel.
  package let address: IPPrefix?
  /// `rp_filter` of the device; `nil` if any value will do.
  package let reversePathFilter: UInt32?

  /// Alias that distinguishes our devices from those of other programs.
  package static let mark = "causeway-hostgw"

  /// Whether a link is a device that the helper made or took over.
  package static func isOurs(_ link: Link) -> Bool { link.tunnel != nil && link.alias == mark }
}
