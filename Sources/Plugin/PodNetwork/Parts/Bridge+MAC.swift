internal import Addresses
internal import Linux
internal import Netlink

extension Bridge {
  /// MAC of the bridge, fixed before a port of ours joins it, also where another program made the bridge.
  ///
  /// A bridge whose MAC was never set takes the lowest of its ports', and zeros when the last port is removed
  /// (net/bridge/br_stp_if.c, `br_stp_recalculate_bridge_id`). Pods would lose their gateway when another comes or goes, and
  /// a bridge over the node's own link would lose the node's peers.
  static func keptMAC(of link: Link, _ host: inout RouteSocket) throws(PodNetworkError) -> MACAddress? {
    // NET_ADDR_SET (include/uapi/linux/netdevice.h); netlink does not report it. Setting a MAC again does no harm.
    let assignment = try? Files.read("/sys/class/net/\(link.name)/addr_assign_type", limit: 16)
    if assignment == Array("3\n".utf8) { return link.mac }
    let mac = link.mac.flatMap { $0.bytes.contains { $0 != 0 } ? $0 : nil } ?? newMAC(of: link)
    try fromNetlink(host.perform(.changeLink(link.index, name: link.name, LinkChange(mac: mac))))
    return mac
  }

  /// MAC for a bridge without one: the same for all ADDs that find it so, and different on each node.
  private static func newMAC(of link: Link) -> MACAddress {
    let boot = (try? Sysctl.read("kernel/random/boot_id")) ?? ""
    return MACAddress(localBits: stableHash("\(boot) \(link.index) \(link.name)".utf8))
  }
}
