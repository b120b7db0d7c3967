internal import Addresses
internal import Nodes

/// Name of a node's record: `10.5.34.0-24`, or with an IPv6 subnet `10.12.13.0-24&fd00:12:13::-56` (flannel's
/// pkg/subnet/subnet.go, `MakeSubnetKey`).
struct EtcdSubnetKey: Sendable, Equatable {
  let subnet: IPPrefix
  let ipv6Subnet: IPPrefix?

  init(_ subnet: IPPrefix, _ ipv6Subnet: IPPrefix?) {
    self.subnet = subnet
    self.ipv6Subnet = ipv6Subnet
  }

  /// Parses a name; `nil` if the text has another form. `problem` reports unusable subnets.
  init?(parsing text: String) {
    let parts = text.split(separator: "&", maxSplits: 1, omittingEmptySubsequences: false)
    guard let subnet = EtcdSubnetKey.prefix(parts[0], .v4) else { return nil }
    self.subnet = subnet
    ipv6Subnet = parts.count == 2 ? EtcdSubnetKey.prefix(parts[1], .v6) : nil
    if parts.count == 2, ipv6Subnet == nil { return nil }
  }

  private static func prefix(_ text: Substring, _ family: IPFamily) -> IPPrefix? {
    guard let hyphen = text.lastIndex(of: "-") else { return nil }
    let prefix = IPPrefix("\(text[..<hyphen])/\(text[text.index(after: hyphen)...])")
    // An IPv4-mapped IPv6 address parses as IPv4.
    return prefix.flatMap { $0.family == family ? $0 : nil }
  }

  var subnets: [IPPrefix] { [subnet, ipv6Subnet].compactMap { $0 } }

  var text: String { ipv4Part + (ipv6Subnet.map { "&\(EtcdSubnetKey.part($0))" } ?? "") }

  /// Prefix of every name with this IPv4 subnet.
  var ipv4Part: String { EtcdSubnetKey.part(subnet) }

  private static func part(_ prefix: IPPrefix) -> String { "\(prefix.address)-\(prefix.length)" }

  /// Reason why no node can have these subnets; `nil` if one can.
  var problem: String? {
    [subnet, ipv6Subnet].lazy.compactMap { $0?.problemAsSubnet }.first
  }
}
