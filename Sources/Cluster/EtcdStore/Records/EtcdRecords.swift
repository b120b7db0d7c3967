internal import Addresses
internal import Nodes

/// All records of the cluster, in the order of their IPv4 subnets: a change is found fast, and overlaps lie side by
/// side.
struct EtcdRecords: Sendable {
  /// Records whose name is a subnet.
  private(set) var sorted: [EtcdRecord]
  /// Records with other names, which no route can come from.
  private(set) var unnamed: [EtcdRecord]

  init(_ records: [EtcdRecord] = []) {
    sorted = records.filter { $0.key != nil }.sorted { EtcdRecords.precedes($0, $1) }
    unnamed = records.filter { $0.key == nil }
  }

  /// Replaces the record of the same name.
  mutating func set(_ record: EtcdRecord) {
    remove(record.name)
    guard record.key != nil else {
      unnamed.append(record)
      return
    }
    sorted.insert(record, at: position { EtcdRecords.precedes($0, record) })
  }

  mutating func remove(_ name: String) {
    if let position = find(name) { sorted.remove(at: position) } else { unnamed.removeAll { $0.name == name } }
  }

  /// Record of a name that is a subnet.
  subscript(name: String) -> EtcdRecord? { find(name).map { sorted[$0] } }

  private func find(_ name: String) -> Int? {
    guard let key = EtcdSubnetKey(parsing: name) else { return nil }
    var position = position { ($0.key?.subnet).map { SubnetOverlaps.precedes($0, key.subnet) } ?? false }
    // One subnet may be spelled in several ways.
    while position < sorted.count, sorted[position].key?.subnet == key.subnet {
      if sorted[position].name == name { return position }
      position += 1
    }
    return nil
  }

  /// Returns the records that overlap a subnet, except for those whose key no node can have.
  func overlapping(_ subnet: IPPrefix) -> [EtcdRecord] {
    sorted.filter { $0.key?.problem == nil && $0.subnet(subnet.family)?.overlaps(subnet) ?? false }
  }

  /// Returns the first position whose record does not come before something.
  private func position(_ precedes: (EtcdRecord) -> Bool) -> Int {
    var range = 0..<sorted.count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      range = precedes(sorted[middle]) ? (middle + 1)..<range.upperBound : range.lowerBound..<middle
    }
    return range.lowerBound
  }

  private static func precedes(_ left: EtcdRecord, _ right: EtcdRecord) -> Bool {
    guard let first = left.key?.subnet, let second = right.key?.subnet, first != second else {
      return left.key?.subnet == right.key?.subnet && left.name < right.name
    }
    return SubnetOverlaps.precedes(first, second)
  }
}

extension EtcdRecords {
  /// Returns the positions in `sorted` of records that overlap an older one, each with the older one's position.
  func overlaps() -> [IPFamily: [Int: Int]] {
    var found = [IPFamily.v4: overlaps(Array(sorted.indices), .v4)]
    var dual = sorted.indices.filter { sorted[$0].key?.ipv6Subnet != nil }
    if !dual.isEmpty {
      dual.sort { left, right in
        guard let first = sorted[left].subnet(.v6), let second = sorted[right].subnet(.v6) else { return false }
        return SubnetOverlaps.precedes(first, second)
      }
      found[.v6] = overlaps(dual, .v6)
    }
    return found
  }

  /// - Parameter order: positions in the order of the family's subnets.
  private func overlaps(_ order: [Int], _ family: IPFamily) -> [Int: Int] {
    SubnetOverlaps.losers(
      order, { sorted[$0].key?.problem == nil ? sorted[$0].subnet(family) : nil },
      isOlder: { sorted[$0].createRevision < sorted[$1].createRevision })
  }
}
