package import Addresses
package import Linux

/// A node's subnet lease, as `subnet.env` contains it.
///
/// The file has flannel's keys in flannel's order, so that either program can read the other's file.
package struct SubnetLease: Sendable, Equatable {
  /// The cluster's networks; flannel's CNI plugin accepts a comma-separated list for each family.
  package var networks: [IPPrefix]
  /// This node's subnets, at most one of each family; the address is the gateway's, the subnet's first usable one.
  package var subnets: [IPPrefix]
  /// The MTU of pods in bytes.
  package var mtuBytes: Int
  /// Whether the helper masquerades traffic that leaves the cluster; then the plugin does not.
  package var masquerades: Bool

  /// A lease from given values.
  package init(networks: [IPPrefix], subnets: [IPPrefix], mtuBytes: Int, masquerades: Bool) {
    self.networks = networks
    self.subnets = subnets
    self.mtuBytes = mtuBytes
    self.masquerades = masquerades
  }

  /// The node's subnet of a family; `nil` if there is none.
  package func subnet(_ family: IPFamily) -> IPPrefix? {
    subnets.first { $0.family == family }
  }
}

/// The error of an unusable `subnet.env`.
package enum LeaseError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file cannot be read.
  case unreadable(SystemError)
  /// A key is missing.
  case missing(file: String, key: String)
  /// A key has an invalid value.
  case invalid(file: String, key: String, value: String, expected: String)

  /// The file, the key and what is wrong with it.
  package var description: String {
    switch self {
    case .unreadable(let error): error.description
    case .missing(let file, let key): "\(file) has no \(key); write the file anew with causeway-hostgw"
    case .invalid(let file, let key, let value, let expected): "\(file): \(key)=\(value) must be \(expected)"
    }
  }
}

extension SubnetLease {
  /// Reads the file; `nil` if it does not exist. Unknown keys and comment lines are ignored.
  package static func read(_ path: String) throws(LeaseError) -> SubnetLease? {
    let content: [UInt8]?
    do throws(SystemError) {
      content = try Files.read(path, limit: 65536)
    } catch {
      throw .unreadable(error)
    }
    guard let content else { return nil }
    return try SubnetLease(parsing: String(decoding: content, as: UTF8.self), file: path)
  }

  /// Reads the text of a `subnet.env`.
  ///
  /// - Parameter file: the file's path, for messages.
  package init(parsing text: String, file: String) throws(LeaseError) {
    var values: [String: String] = [:]
    for line in text.split(whereSeparator: { $0.isNewline }) {
      let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { values[trimmed(parts[0])] = trimmed(parts[1]) }
    }
    var networks: [IPPrefix] = []
    var subnets: [IPPrefix] = []
    for (family, key) in [(IPFamily.v4, ""), (.v6, "IPV6_")] {
      let networkKey = "FLANNEL_\(key)NETWORK"
      let subnetKey = "FLANNEL_\(key)SUBNET"
      for item in values[networkKey]?.split(separator: ",") ?? [] {
        networks.append(try SubnetLease.prefix(trimmed(item), family, key: networkKey, file: file).network)
      }
      if let value = values[subnetKey], !value.isEmpty {
        let subnet = try SubnetLease.prefix(value, family, key: subnetKey, file: file)
        guard subnet.address != subnet.first, family == .v6 || subnet.address != subnet.last else {
          throw .invalid(
            file: file, key: subnetKey, value: value,
            expected: "the gateway's address and its length, such as \(family.example)")
        }
        subnets.append(subnet)
      }
    }
    guard !networks.isEmpty else {
      throw .missing(file: file, key: "FLANNEL_NETWORK or FLANNEL_IPV6_NETWORK")
    }
    guard !subnets.isEmpty else { throw .missing(file: file, key: "FLANNEL_SUBNET or FLANNEL_IPV6_SUBNET") }
    guard let mtu = values["FLANNEL_MTU"] else { throw .missing(file: file, key: "FLANNEL_MTU") }
    guard let mtuBytes = Int(mtu), (68...65535).contains(mtuBytes) else {
      throw .invalid(
        file: file, key: "FLANNEL_MTU", value: mtu, expected: "a number of bytes from 68 to 65535")
    }
    guard let masquerade = values["FLANNEL_IPMASQ"] else { throw .missing(file: file, key: "FLANNEL_IPMASQ") }
    guard masquerade == "true" || masquerade == "false" else {
      throw .invalid(file: file, key: "FLANNEL_IPMASQ", value: masquerade, expected: "true or false")
    }
    self.init(networks: networks, subnets: subnets, mtuBytes: mtuBytes, masquerades: masquerade == "true")
  }

  private static func prefix(
    _ value: String, _ family: IPFamily, key: String, file: String
  ) throws(LeaseError) -> IPPrefix {
    guard let prefix = IPPrefix(value), prefix.family == family else {
      throw .invalid(
        file: file, key: key, value: value, expected: "an \(family) prefix such as \(family.example)")
    }
    return prefix
  }

  /// The text of a `subnet.env`: network and subnet of each family, then MTU and masquerade.
  package var text: String {
    var lines: [String] = []
    for (family, key) in [(IPFamily.v4, ""), (.v6, "IPV6_")] {
      guard let subnet = subnet(family) else { continue }
      let networks = networks.filter { $0.family == family }.map { $0.description }.joined(separator: ",")
      lines += ["FLANNEL_\(key)NETWORK=\(networks)", "FLANNEL_\(key)SUBNET=\(subnet)"]
    }
    lines += ["FLANNEL_MTU=\(mtuBytes)", "FLANNEL_IPMASQ=\(masquerades)"]
    return lines.joined(separator: "\n") + "\n"
  }
}

extension IPFamily {
  fileprivate var example: String {
    switch self {
    case .v4: "10.244.1.1/24"
    case .v6: "fd00:10:244:1::1/64"
    }
  }
}

/// Removes white space at either end.
private func trimmed(_ text: some StringProtocol) -> String {
  let start = text.drop { $0.isWhitespace }
  guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
  return String(start[...last])
}
