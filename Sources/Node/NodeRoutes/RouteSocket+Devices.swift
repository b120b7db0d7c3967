internal import Addresses
internal import Backends
internal import Glibc
internal import Netlink

extension RouteSocket {
  /// Makes and changes tunnel devices. A failure is reported and does not delay other devices.
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
      try perform(.addTunnel(device.kind, name: device.name, mac: device.mac, mtuBytes: device.mtuBytes))
      index = try link(named: device.name)?.index
    }
    // Without an index it was removed meanwhile, which the next pass sees.
    guard let index else { return }
    if let change = repair.change { try perform(.changeLink(index, name: device.name, change)) }
    // With its last IPv4 address a device loses all its routes and neighbours (net/ipv4/fib_frontend.c,
    // `fib_inetaddr_event`): the new one comes first.
    try add(device.address, to: index)
    for address in repair.surplusAddresses where !repair.isMadeAnew {
      try perform(.removeAddress(address, from: index), accepting: EADDRNOTAVAIL)
      // An IPv6 address cannot be there twice with different lengths.
      if address.address == device.address?.address { try add(device.address, to: index) }
    }
  }

  private mutating func add(_ address: IPPrefix?, to index: Int32) throws(NetlinkError) {
    if let address { try perform(.addAddress(address, to: index), accepting: EEXIST) }
  }
}
