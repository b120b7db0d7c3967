internal import Addresses
internal import Linux
internal import Netlink

extension Bridge {
  /// The bridge's MAC, which it keeps from now on also where somebody else made it, before a port of ours joins it.
  ///
  /// A bridge whose MAC nobody set takes the lowest of its ports', and zeros when the last of them goes
  /// (net/bridge/br_stp_if.c, `br_stp_recalculate_bridge_id`): pods would lose their gateway when another comes or goes,
  /// and a bridge over the node's own link the node's peers.
  static func keptMAC(of link: Link, _ host: inout RouteSocket) throws(NetlinkError) -> MACAddress? {
    // NET_ADDR_SET (include/uapi/linux/netdevice.h); netlink does not tell it. To set a MAC again does no harm.
    let assignment = try? Files.read("/sys/class/net/\(link.name)/addr_assign_type", limit: 16)
    if assignment == Array("3\n".utf8) { return link.mac }
    let mac = link.mac.flatMap { $0.bytes.contains { $0 != 0 } ? $0 : nil } ?? newMAC(of: link)
    try host.perform(.changeLink(link.index, name: link.name, LinkChange(mac: mac)))
    return mac
  }

  /// The same for every ADD that finds the bridge without one at this moment, and another on each node.
  private static func newMAC(of link: Link) -> MACAddress {
    let boot = (try? Sysctl.read("kernel/random/boot_id")) ?? ""
    return MACAddress(localBits: stableHash("\(boot) \(link.index) \(link.name)".utf8))
  }
}
