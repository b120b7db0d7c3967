internal import Addresses
internal import JSON
internal import Nodes

/// What etcd holds of the cluster, at one revision.
struct EtcdState: Sendable {
  let clusterID: String
  /// Everything up to this revision is in here.
  private(set) var revision: Int64
  private(set) var raftTerm: Int64
  /// The cluster's network, or why there is none.
  private(set) var config: Result<EtcdConfig, EtcdError>
  private(set) var records: EtcdRecords
  private let layout: EtcdLayout

  init(_ list: EtcdList, _ layout: EtcdLayout) {
    self.layout = layout
    clusterID = list.header.clusterID
    revision = list.header.revision
    raftTerm = list.header.raftTerm
    config = EtcdConfig.read(list.config, key: layout.config)
    records = EtcdRecords(
      list.subnets.compactMap { keyValue in
        layout.name(keyValue.key).map { EtcdRecord(keyValue, name: $0) }
      })
  }

  /// Takes over what a watch tells. Who is behind is told a part at a time, under the header of the present: only the
  /// changes themselves say how far they go. Without changes the header says that there were none up to it.
  mutating func apply(_ answer: EtcdClient.WatchAnswer) {
    for event in answer.events {
      let keyValue = event.keyValue
      if keyValue.key == layout.config {
        config = EtcdConfig.read(event.isDeletion ? nil : keyValue, key: layout.config)
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

  /// Whether an answer tells what is not in here.
  func isBehind(_ answer: EtcdClient.WatchAnswer) -> Bool { EtcdState.revision(of: answer) > revision }

  /// Whether this is known to be not the store, or not the past, that the state comes from.
  func isOfAnother(_ header: EtcdHeader) -> Bool {
    header.clusterID != clusterID || header.revision < revision || header.raftTerm < raftTerm
  }
}

/// The cluster's `config`: its network, and which subnets nodes may claim.
struct EtcdConfig: Sendable, Equatable {
  let netConf: NetConf
  let allocation: SubnetAllocation

  static func read(_ keyValue: EtcdKeyValue?, key: String) -> Result<EtcdConfig, EtcdError> {
    guard let keyValue else { return .failure(.noConfig(key: key)) }
    do {
      let fields = try JSONFields(document: JSONValue(parsing: keyValue.value), name: "the network configuration")
      let netConf = try NetConf(fields)
      return .success(EtcdConfig(netConf: netConf, allocation: try SubnetAllocation(fields, netConf)))
    } catch {
      return .failure(.badConfig(key: key, reason: "\(error)"))
    }
  }
}

extension EtcdState {
  /// All nodes but this one.
  ///
  /// - Parameters:
  ///   - own: this node, and what it holds itself, whatever etcd says of it at the moment.
  ///   - retiring: records that are this node's besides, whatever address they tell, and their leases.
  func snapshot(_ config: EtcdConfig, own: Node?, retiring: [String: Int64] = [:]) -> NodeSnapshot {
    let overlaps = records.overlaps()
    var nodes: [Node] = []
    nodes.reserveCapacity(records.sorted.count + records.unnamed.count)
    for (position, record) in records.sorted.enumerated()
    where !(own.map { isOwn(record, $0) } ?? false) && retiring[record.name] != record.leaseID {
      var node = Node(name: record.nodeName, publicIP: record.publicIP, publicIPv6: record.publicIPv6)
      for family in IPFamily.allCases {
        guard let subnet = record.subnet(family) else { continue }
        // Where the cluster has no such family there is nothing to route.
        guard let network = config.netConf.network(family) else { continue }
        node.setVTEPMAC(record.backend.vtepMAC(family), family)
        var obstacle = record.problem ?? record.backend.problem(family, in: config.netConf.backend)
        if obstacle == nil, !network.contains(subnet) {
          obstacle = "\(subnet) is not in the cluster's network \(network)"
        }
        if obstacle == nil, let other = overlaps[family]?[position] {
          let older = records.sorted[other]
          obstacle = "it overlaps \(older.subnet(family).map { "\($0)" } ?? "") of \(older.nodeName), which is older"
        }
        node.setSubnet(subnet, obstacle: obstacle)
      }
      nodes.append(node)
    }
    for record in records.unnamed {
      nodes.append(Node(name: record.name, obstacle: record.problem))
    }
    return NodeSnapshot(netConf: config.netConf, nodes: nodes, own: own)
  }

  private func isOwn(_ record: EtcdRecord, _ own: Node) -> Bool {
    if record.nodeName == own.name { return true }
    return IPFamily.allCases.contains { family in
      own.subnet(family).map { $0 == record.subnet(family) } ?? false
    }
  }
}
