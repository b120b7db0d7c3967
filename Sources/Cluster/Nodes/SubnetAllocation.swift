package import Addresses
package import JSON

/// Subnets that nodes may claim, by the rules of flannel's etcd mode. A nodes file gives every node its subnet, so that
/// these keys of `net-conf.json` are ignored there.
package struct SubnetAllocation: Sendable, Equatable {
  /// Range of IPv4, without which flannel's etcd layout has no node.
  package let ipv4: SubnetRange
  /// Range of IPv6; `nil` if the cluster has no IPv6.
  package let ipv6: SubnetRange?

  /// Reads SubnetLen, SubnetMin, SubnetMax and their IPv6 counterparts of the object that `netConf` was read from.
  package init(_ fields: JSONFields, _ netConf: NetConf) throws(NetConfError) {
    guard let network = netConf.network(.v4) else {
      throw .invalid(
        field: fields.path(of: "EnableIPv4"), value: "false",
        expected: "true: in etcd a node's subnet is named by its IPv4 part")
    }
    ipv4 = try SubnetAllocation.range(fields, network, prefix: "")
    var ipv6: SubnetRange?
    if let network = netConf.network(.v6) { ipv6 = try SubnetAllocation.range(fields, network, prefix: "IPv6") }
    self.ipv6 = ipv6
  }

  /// Range of a family.
  package func range(_ family: IPFamily) -> SubnetRange? {
    switch family {
    case .v4: ipv4
    case .v6: ipv6
    }
  }

  private static func range(
    _ fields: JSONFields, _ network: IPPrefix, prefix: String
  ) throws(NetConfError) -> SubnetRange {
    let length = try length(fields, network, "\(prefix)SubnetLen")
    let step = Int128(1) << Int128(network.family.bitCount - length)
    // The first subnet is skipped, because its first address is the network's own.
    guard let second = network.first.advanced(by: step), let start = IPPrefix(second, length: length),
      let end = IPPrefix(network.last, length: length)
    else { throw .missing(field: fields.path(of: "\(prefix)SubnetLen"), remedy: "give a length that fits") }
    let first = try bound(fields, "\(prefix)SubnetMin", network, length) ?? start
    let last = try bound(fields, "\(prefix)SubnetMax", network, length) ?? end.network
    guard first.address <= last.address else {
      throw .invalid(
        field: fields.path(of: "\(prefix)SubnetMin"), value: "\"\(first.address)\"",
        expected: "not behind \(prefix)SubnetMax, \(last.address)")
    }
    return SubnetRange(first: first, last: last)
  }

  private static func length(
    _ fields: JSONFields, _ network: IPPrefix, _ name: String
  ) throws(NetConfError) -> Int {
    let field = fields.path(of: name)
    let longest = network.family.bitCount - 2
    // The usual length, or a quarter of a network that is too small for it.
    let usual = network.family == .v4 ? 24 : 64
    guard let given = try NetConf.reading({ () throws(JSONError) in try fields.integer(name) }), given != 0 else {
      guard network.length + 2 <= longest else {
        throw .invalid(
          field: fields.path(of: network.family == .v4 ? "Network" : "IPv6Network"), value: "\"\(network)\"",
          expected: "/\(longest - 2) or wider, to hold four subnets")
      }
      return network.length + 2 <= usual ? usual : network.length + 2
    }
    guard given <= longest, given >= network.length + 2 else {
      throw .invalid(
        field: field, value: "\(given)",
        expected: "from \(min(network.length + 2, longest)) to \(longest): at least four subnets of \(network), with "
          + "room for a pod in each")
    }
    return Int(given)
  }

  private static func bound(
    _ fields: JSONFields, _ name: String, _ network: IPPrefix, _ length: Int
  ) throws(NetConfError) -> IPPrefix? {
    guard let text = try NetConf.reading({ () throws(JSONError) in try fields.string(name) }), !text.isEmpty else {
      return nil
    }
    let field = fields.path(of: name)
    guard let address = IPAddress(text), address.family == network.family, network.contains(address),
      let subnet = IPPrefix(address, length: length)
    else {
      throw .invalid(field: field, value: "\"\(text)\"", expected: "an address inside \(network), without length")
    }
    guard subnet.isNetwork else {
      throw .invalid(
        field: field, value: "\"\(text)\"", expected: "the first address of a /\(length): \"\(subnet.first)\"")
    }
    return subnet
  }
}
