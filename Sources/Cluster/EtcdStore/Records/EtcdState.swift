internal import Addresses
internal import JSON
internal import Nodes

/// Content of the cluster in etcd, at one revision.
struct EtcdState: Sendable {
  let clusterID: String
  /// Revision up to which all changes are known.
  private(set) var revision: Int64
  private(set) var raftTerm: Int64
  /// Configuration of the cluster, or why there is none.
  private(set) var config: Result<EtcdConfig, EtcdError>
  private(set) var records: EtcdRecords
  private let layout: EtcdLayout
  private let backends: BackendReader

  init(_ list: EtcdList, _ layout: EtcdLayout, _ backends: BackendReader) {
    self.layout = layout
    self.backends = backends
    clusterID = list.header.clusterID
    revision = list.header.revision
    raftTerm = list.header.raftTerm
    config = EtcdConfig.read(list.config, key: layout.config, backends)
    records = EtcdRecords(
      list.subnets.compactMap { keyValue in
        layout.name(keyValue.key).map { EtcdRecord(keyValue, name: $0) }
      })
  }

  /// Takes over the answer of a watch. A watch that is behind gets a part of the changes at a time, under the header of the
  /// present, so that only the changes show how far they go. An answer without changes reaches up to its header.
  mutating func apply(_ answer: EtcdClient.WatchAnswer) {
    for event in answer.events {
      let keyValue = event.keyValue
      if keyValue.key == layout.config {
        config = EtcdConfig.read(event.isDeletion ? nil : keyValue, key: layout.config, backends)
      } else if let name = layout.name(keyValue.key) {
        if event.isDeletion { records.remove(name) } else { records.set(EtcdRecord(keyValue, name: name)) }
      }
    }
    revision = max(revision, EtcdState.revision(of: answer))
    raftTerm = max(raftTerm, answer.header.raftTerm)
  }

  private static func revision(of answer: EtcdClient.WatchAnswer) -> Int64 {
    answer.events.map(\.keyValue.modRevision).max() ?? answer.header.revision
  }

  /// Whether an answer holds changes after this revision.
  func isBehind(_ answer: EtcdClient.WatchAnswer) -> Bool { EtcdState.revision(of: answer) > revision }

  /// Whether a header is known to come from another store, or from an earlier state of this one.
  func isOfAnother(_ header: EtcdHeader) -> Bool {
    header.clusterID != clusterID || header.revision < revision || header.raftTerm < raftTerm
  }
}

/// Value of the cluster's `config`: its network, and the subnets that nodes may claim.
struct EtcdConfig: Sendable, Equatable {
  let netConf: NetConf
  let allocation: SubnetAllocation

  static func read(
    _ keyValue: EtcdKeyValue?, key: String, _ backends: BackendReader
  ) -> Result<EtcdConfig, EtcdError> {
    guard let keyValue else { return .failure(.noConfig(key: key)) }
    do {
      let fields = try JSONFields(document: JSONValue(parsing: keyValue.value), name: "the network configuration")
      let netConf = try NetConf(fields, backends)
      return .success(EtcdConfig(netConf: netConf, allocation: try SubnetAllocation(fields, netConf)))
    } catch {
      return .failure(.badConfig(key: key, reason: "\(error)"))
    }
  }
}

extension EtcdState {
  /// Returns all nodes but this one.
  ///
  /// - Parameters:
  ///   - own: this node with the subnets that it holds, whatever etcd holds of it at the moment.
  ///   - retiring: other records of this node, whatever their address, and their leases.
  func snapshot(_ config: EtcdConfig, own: Node?, retiring: [String: Int64] = [:]) -> NodeSnapshot {
    let overlaps = records.overlaps()
    var nodes: [Node] = []
    nodes.reserveCapacity(records.sorted.count + records.unnamed.count)
    for (position, record) in records.sorted.enumerated()
    where !(own.map { isOwn(record, $0) } ?? false) && retiring[record.name] != record.leaseID {
      var node = Node(name: record.nodeName, addresses: record.addresses)
      for family in IPFamily.allCases {
        guard let subnet = record.subnet(family) else { continue }
        let older = overlaps[family]?[position].map { records.sorted[$0] }
        let overlap = older.flatMap { older in
          older.subnet(family).map { PeerClaim.Overlap(subnet: $0, node: older.nodeName) }
        }
        node.take(
          PeerClaim(subnet: subnet, problem: record.problem, backend: record.backend, overlap: overlap),
          in: config.netConf)
      }
      nodes.append(node)
    }
    for record in records.unnamed {
      nodes.append(Node(name: record.name, obstacles: PerFamily(v4: record.problem)))
    }
    return NodeSnapshot(netConf: config.netConf, nodes: nodes, own: own)
  }

  private func isOwn(_ record: EtcdRecord, _ own: Node) -> Bool {
    if record.nodeName == own.name { return true }
    return IPFamily.allCases.contains { family in
      own.subnets[family].map { $0 == record.subnet(family) } ?? false
    }
  }
}
