internal import Addresses
internal import Nodes

extension NodesFile {
  /// Checks that no two nodes share a name, an address or a part of a subnet.
  static func checkUniqueness(_ nodes: [Node], file: String) throws(NodesFileError) {
    var names: [String: Int] = [:]
    var addresses: [IPAddress: Int] = [:]
    for (index, node) in nodes.enumerated() {
      if let first = names.updateValue(index, forKey: node.name) {
        throw .invalid(
          file: file, field: "nodes[\(index)].name", value: node.name,
          expected: "unique: nodes[\(first)] has the same name")
      }
      for family in IPFamily.allCases {
        guard let address = node.addresses[family] else { continue }
        if let first = addresses.updateValue(index, forKey: address) {
          throw .invalid(
            file: file, field: "nodes[\(index)].\(family == .v4 ? "publicIP" : "publicIPv6")",
            value: address.description,
            expected: "unique: nodes[\(first)] (\(nodes[first].name)) has the same address")
        }
      }
    }
    for family in IPFamily.allCases { try checkOverlaps(nodes, family, file: file) }
  }

  /// Checks neighbours in the order of first address and length: if any two subnets overlap, two neighbours do.
  private static func checkOverlaps(_ nodes: [Node], _ family: IPFamily, file: String) throws(NodesFileError) {
    var subnets = nodes.enumerated().compactMap { index, node in
      node.subnets[family].map { (index: index, subnet: $0) }
    }
    subnets.sort { ($0.subnet.address, $0.subnet.length) < ($1.subnet.address, $1.subnet.length) }
    for (left, right) in zip(subnets, subnets.dropFirst()) where left.subnet.overlaps(right.subnet) {
      let (first, second) = left.index < right.index ? (left, right) : (right, left)
      throw .invalid(
        file: file, field: "nodes[\(second.index)].\(family == .v4 ? "subnet" : "ipv6Subnet")",
        value: second.subnet.description,
        expected: "apart from every other subnet: it is of node \(nodes[second.index].name) and overlaps "
          + "\(first.subnet) of node \(nodes[first.index].name) (nodes[\(first.index)])")
    }
  }
}
