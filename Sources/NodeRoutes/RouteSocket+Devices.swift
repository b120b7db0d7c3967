internal import Addresses
internal import Glibc
internal import Linux
internal import Netlink

extension RouteSocket {
  /// Makes tunnel devices what they must be; what fails is told and holds nobody else up.
  mutating func repair(_ repairs: [DeviceRepair]) -> (changes: [RouteChange], failures: [NetlinkError]) {
    var changes: [RouteChange] = []
    var failures: [NetlinkError] = []
    for repair in repairs {
      do throws(NetlinkError) {
        try self.repair(repair)
        let isNew = repair.link == nil || repair.isMadeAnew
        changes.append(RouteChange(verb: isNew ? .deviceMade : .deviceChanged, device: repair.device.name))
      } catch {
        failures.append(error)
      }
    }
    return (changes, failures)
  }

  private mutating func repair(_ repair: DeviceRepair) throws(NetlinkError) {
    let device = repair.device
    if let link = repair.link, repair.isMadeAnew {
      try perform(.removeLink(link.index, name: link.name), accepting: ENODEV)
    }
    var index = repair.link?.index
    if repair.link == nil || repair.isMadeAnew {
      try perform(.addVXLAN(name: device.name, mac: device.mac, mtuBytes: device.mtuBytes, device.vxlan))
      index = try link(named: device.name)?.index
    }
    // Somebody has removed it meanwhile, which the next pass sees.
    guard let index else { return }
    if let change = repair.change { try perform(.changeLink(index, name: device.name, change)) }
    for address in repair.surplusAddresses where !repair.isMadeAnew {
      try perform(.removeAddress(address, from: index), accepting: EADDRNOTAVAIL)
    }
    if let address = device.address { try perform(.addAddress(address, to: index), accepting: EEXIST) }
    acceptOtherPaths(device)
  }

  /// Where the kernel drops what comes by another link than it would answer by (`rp_filter` 1), what a node sends through
  /// the tunnel is lost until both sides have decided alike: it is loosened on the device. Without the right to do so
  /// (/proc/sys is read-only in many containers) the node goes on as it is.
  private func acceptOtherPaths(_ device: TunnelDevice) {
    let names = ["all", device.name].map { "net/ipv4/conf/\($0)/rp_filter" }
    guard device.vxlan.local?.family == .v4, names.contains(where: { (try? Sysctl.read($0)) == "1" }) else { return }
    try? Sysctl.ensureIfPresent(names[1], "2")
  }
}
