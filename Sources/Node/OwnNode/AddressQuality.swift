internal import Addresses
internal import Netlink

/// Rank of an address as the one by which other nodes reach this one; greater is better.
struct AddressQuality: Comparable {
  private let points: Int

  init(_ address: LinkAddress) {
    // The most important comes first. An address without a network (/32, /128) mostly moves from node to node, and
    // makes no other node a neighbour.
    let virtues = [
      !address.prefix.address.isLinkLocal, !address.isDeprecated, !address.isTemporary,
      address.prefix.length < address.prefix.family.bitCount, address.isPermanent,
    ]
    points = virtues.reduce(0) { $0 << 1 | ($1 ? 1 : 0) }
  }

  static func < (left: AddressQuality, right: AddressQuality) -> Bool { left.points < right.points }
}

extension LinkAddress {
  /// Reason why no other node can reach this one by the address, as words after "it"; `nil` if one can.
  func obstacle(clusterNetworks: [IPPrefix]) -> String? {
    let address = prefix.address
    if !address.isNodeAddress { return address.isLinkLocal ? "is link-local" : "is no address of a node" }
    if let network = clusterNetworks.first(where: { $0.contains(address) }) {
      return "lies inside the cluster's own network \(network)"
    }
    if isDuplicate { return "is in use by another machine too (duplicate address detection)" }
    if !isUsable { return "waits for duplicate address detection" }
    return nil
  }

  /// Reason why the address is only chosen on request although other nodes could reach this one by it.
  var weakness: String? {
    if isTemporary { return "is temporary (RFC 8981)" }
    if isDeprecated { return "is deprecated" }
    return nil
  }
}
