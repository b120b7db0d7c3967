internal import Addresses

/// One state of a record: who finds a record in the state that he left it in knows that nobody has written it since.
struct RecordMark: Sendable, Equatable {
  let name: String
  let leaseID: Int64
  let modRevision: Int64
}

extension EtcdRecord {
  var mark: RecordMark { RecordMark(name: name, leaseID: leaseID, modRevision: modRevision) }
}

/// Which of the cluster's records are this node's; pure. An address alone proves little: it may have been another node's
/// a moment ago, whose record still tells it.
struct RecordOwnership {
  let records: EtcdRecords
  /// By which other nodes reach this one, at most one of each family.
  let addresses: [IPAddress]
  /// The record that we hold, as we wrote or found it.
  let held: RecordMark?
  /// Subnets that the node had before, the latest first.
  let prior: [IPPrefix]
  private let marks: [RecordMark]

  /// - Parameter remembered: others that this node's agent wrote or held, also before it was started anew.
  init(
    _ records: EtcdRecords, addresses: [IPAddress], held: RecordMark? = nil, remembered: [RecordMark] = [],
    prior: [IPPrefix] = []
  ) {
    self.records = records
    self.addresses = addresses
    self.held = held
    self.prior = prior
    marks = [held].compactMap { $0 } + remembered
  }

  /// Whether the record is this node's: as we left it, or with our address where we have been before. A reservation is
  /// its node's by the address that the operator wrote.
  func isOwn(_ record: EtcdRecord) -> Bool {
    if marks.contains(record.mark) { return true }
    guard record.belongs(to: addresses) else { return false }
    return record.leaseID == 0 || marks.contains { $0.name == record.name }
      || record.key.map { prior.contains($0.subnet) } ?? false
  }

  /// This node's, in the order of the subnets.
  var own: [EtcdRecord] { records.sorted.filter { isOwn($0) && $0.key?.problem == nil } }

  /// Records with our address that this node knows nothing of.
  var strangers: [EtcdRecord] {
    records.sorted.filter { $0.belongs(to: addresses) && !isOwn($0) && $0.key?.problem == nil }
  }

  /// Those of them that are taken for this node's all the same, where it has none: its disk is new, or flannel wrote
  /// them. Not where what it had is somebody else's now: then nodes have swapped their addresses.
  var adoptable: [EtcdRecord] {
    guard held == nil else { return [] }
    let names = Set(marks.map(\.name))
    let hasLostOne = records.sorted.contains { record in
      (names.contains(record.name) || record.key.map { prior.contains($0.subnet) } ?? false) && !isOwn(record)
    }
    return hasLostOne ? [] : strangers
  }

  /// Somebody else's record that shares an address with a subnet.
  func holder(of subnet: IPPrefix) -> EtcdRecord? {
    records.overlapping(subnet).first { !isOwn($0) && !$0.belongs(to: addresses) }
  }

  /// What of this node's addresses its record should tell: those that are known, and of a family whose address is gone
  /// for the moment what the record tells already, unless another node has that now.
  func addresses(in families: [IPFamily], toldBy record: EtcdRecord?) -> [IPAddress] {
    let kept = families.filter { family in !addresses.contains { $0.family == family } }
      .compactMap { record?.addresses[$0] }
      .filter { address in
        !records.sorted.contains { $0.name != record?.name && $0.addresses[address.family] == address && !isOwn($0) }
      }
    return (addresses + kept).sorted()
  }
}
