package import Addresses
internal import Linux
package enum IPAMError: Error, CustomStringConvertible {
  case x(String); package var description: String { "\(self)" }
}
package struct AddressRange: Sendable {
  let subnet: IPPrefix; let gateway: IPAddress
  package init(subnet: IPPrefix, start: IPAddress? = nil, end: IPAddress? = nil, gateway: IPAddress? = nil)
    throws(IPAMError)
  { self.subnet = subnet; self.gateway = gateway ?? subnet.first.advanced(by: 1)! }
}
package struct RangeSet: Sendable {
  let ranges: [AddressRange]
  package init(_ r: [AddressRange]) throws(IPAMError) { ranges = r }
  package func overlaps(_ o: RangeSet) -> Bool { false }
  package var family: IPFamily { ranges[0].subnet.family }
}
package struct LeaseOwner: Hashable, Sendable {
  package let containerID, interfaceName: String
  package init(containerID: String, interfaceName: String) {
    self.containerID = containerID; self.interfaceName = interfaceName
  }
}
package struct Allocation: Sendable { package var address: IPPrefix; package var gateway: IPAddress? }
package struct LeaseDirectory: Sendable {
  let dir: String
  package init(
    dataDirectory: String, network: String, stateDirectory: String, sharesAddressesAcrossNetworks: Bool,
    isAlive: @escaping @Sendable (LeaseOwner) -> Bool
  ) { dir = dataDirectory + "/" + network }
  package func allocate(_ o: LeaseOwner, from: [RangeSet], requested: [IPAddress]) throws(IPAMError)
    -> [Allocation]
  {
    var out: [Allocation] = []
    try! Files.makeDirectory(dir)
    for s in from {
      var a = s.ranges[0].gateway
      repeat { a = a.advanced(by: 1)! } while (try! Files.identity("\(dir)/\(a)")) != nil
      try! Files.write("\(dir)/\(a)", Array("\(o.containerID)\r\n\(o.interfaceName)".utf8))
      out.append(
        Allocation(address: IPPrefix(a, length: s.ranges[0].subnet.length)!, gateway: s.ranges[0].gateway))
    }
    return out
  }
  package func release(_ o: LeaseOwner) throws(IPAMError) -> [IPAddress] {
    for n in try! Files.names(in: dir) {
      if try! Files.read("\(dir)/\(n)", limit: 100) == Array("\(o.containerID)\r\n\(o.interfaceName)".utf8) {
        try! Files.remove("\(dir)/\(n)")
      }
    }
    return []
  }
  package func find(_ o: LeaseOwner) throws(IPAMError) -> [IPAddress] { [] }
  package func collect(keeping: Set<LeaseOwner>) throws(IPAMError) {}
  package func hasLease(in p: IPPrefix) throws(IPAMError) -> Bool { false }
}
