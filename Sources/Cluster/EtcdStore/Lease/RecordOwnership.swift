internal import Addresses

/// Name, lease and mod-revision of a record. If all three still match, no other program has written it since we did.
struct RecordVersion: Sendable, Equatable {
  let name: String
  let leaseID: Int64
  let modRevision: Int64
}

extension EtcdRecord {
  var version: RecordVersion { RecordVersion(name: name, leaseID: leaseID, modRevision: modRevision) }
}

/// Distinguishes this node's records from those of other nodes; pure. An address alone is weak evidence: another node
/// may have had it a moment ago, and that node's record still contains it.
struct RecordOwnership {
  let records: EtcdRecords
  /// Addresses by which other nodes reach this one, at most one of each family.
  let addresses: [IPAddress]
  /// Version of the record that we hold, as we wrote or found it.
  let held: RecordVersion?
  /// Subnets that this node had before, the latest first.
  let prior: [IPPrefix]
  private let versions: [RecordVersion]

  /// - Parameter remembered: further versions that this node's agent wrote or held, also before a restart.
  init(
    _ records: EtcdRecords, addresses: [IPAddress], held: RecordVersion? = nil, remembered: [RecordVersion] = [],
    prior: [IPPrefix] = []
  ) {
    self.records = records
    self.addresses = addresses
    self.held = held
    self.prior = prior
    versions = [held].compactMap { $0 } + remembered
  }

  /// Whether a record is this node's: it is in the version that we left, or it has our address and a subnet or name
  /// that we had before. A reservation belongs to the node whose address the operator wrote.
  func isOwn(_ record: EtcdRecord) -> Bool {
    if versions.contains(record.version) { return true }
    guard record.belongs(to: addresses) else { return false }
    return record.leaseID == 0 || versions.contains { $0.name == record.name }
      || record.key.map { prior.contains($0.subnet) } ?? false
  }

  /// Valid records of this node, in the order of their subnets.
  var own: [EtcdRecord] { records.sorted.filter { isOwn($0) && $0.key?.problem == nil } }

  /// Valid records that have our address but are not known as ours.
  var strangers: [EtcdRecord] {
    records.sorted.filter { $0.belongs(to: addresses) && !isOwn($0) && $0.key?.problem == nil }
  }

  /// Records with our address that this node may adopt while it has none: its disk is new, or flannel wrote them. Empty
  /// if another node has a record that was ours, because then the nodes may have swapped their addresses.
  var adoptable: [EtcdRecord] {
    guard held == nil else { return [] }
    let names = Set(versions.map(\.name))
    let hasLostOne = records.sorted.contains { record in
      (names.contains(record.name) || record.key.map { prior.contains($0.subnet) } ?? false) && !isOwn(record)
    }
    return hasLostOne ? [] : strangers
  }

  /// Record of another node that overlaps a subnet.
  func holder(of subnet: IPPrefix) -> EtcdRecord? {
    records.overlapping(subnet).first { !isOwn($0) && !$0.belongs(to: addresses) }
  }

  /// Addresses that a record of this node should contain: the known ones. For a family without a known address, the
  /// address that the record contains already, unless another node has it now.
  func addresses(in families: [IPFamily], publishedBy record: EtcdRecord?) -> [IPAddress] {
    let kept = families.filter { family in !addresses.contains { $0.family == family } }
      .compactMap { record?.addresses[$0] }
      .filter { address in
        !records.sorted.contains { $0.name != record?.name && $0.addresses[address.family] == address && !isOwn($0) }
      }
    return (addresses + kept).sorted()
  }
}
