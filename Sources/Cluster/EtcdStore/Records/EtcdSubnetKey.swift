internal import Addresses
internal import Nodes

/// What a node's record is called: `10.5.34.0-24`, or with an IPv6 part `10.12.13.0-24&fd00:12:13::-56`.
struct EtcdSubnetKey: Sendable, Equatable {
  let subnet: IPPrefix
  let ipv6Subnet: IPPrefix?

  init(_ subnet: IPPrefix, _ ipv6Subnet: IPPrefix?) {
    self.subnet = subnet
    self.ipv6Subnet = ipv6Subnet
  }

  /// `nil` where the text is no such name; `problem` says what is wrong with one that is.
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
    // An IPv4-mapped address would be one of the other family.
    return prefix.flatMap { $0.family == family ? $0 : nil }
  }

  var subnets: [IPPrefix] { [subnet, ipv6Subnet].compactMap { $0 } }

  var text: String { ipv4Part + (ipv6Subnet.map { "&\(EtcdSubnetKey.part($0))" } ?? "") }

  /// What every key of this IPv4 subnet begins with.
  var ipv4Part: String { EtcdSubnetKey.part(subnet) }

  private static func part(_ prefix: IPPrefix) -> String { "\(prefix.address)-\(prefix.length)" }

  /// Why no node can have these subnets, `nil` where one can.
  var problem: String? {
    [subnet, ipv6Subnet].lazy.compactMap { $0?.problemAsSubnet }.first
  }
}
