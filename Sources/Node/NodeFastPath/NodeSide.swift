internal import Addresses
internal import FastPath
internal import Glibc
internal import Linux
internal import Netlink

/// The kernel's side of a pass: links, filters and maps.
struct NodeSide: ~Copyable {
  let links: [Link]
  private var socket: RouteSocket
  private let disciplines: [QueueingDiscipline]
  private let fastPath: PinnedFastPath
  private let programs: Programs
  private let peers: BPFMap
  private let pods: BPFMap
  /// What is in it. An entry comes last of all that its pod has: whoever has one is found among links and records that are
  /// read later.
  private let knownPods: [[UInt8]]

  /// The node's own programs, and the numbers of all.
  private struct Programs: ~Copyable {
    let fromNode: BPFProgram
    let toNode: BPFProgram
    let ids: [FastPathProgram: UInt32]
  }

  /// As it is now, in the calling thread's namespace.
  static func look() throws -> NodeSide {
    guard let fastPath = try PinnedFastPath(), let peers = try FastPathPeer.map(), let pods = try FastPathPod.map(),
      let fromNode = try BPFProgram(pinned: PinnedFastPath.path(FastPathProgram.fromNode.rawValue)),
      let toNode = try BPFProgram(pinned: PinnedFastPath.path(FastPathProgram.toNode.rawValue))
    else { throw FastPathError("\(PinnedFastPath.directory) was emptied meanwhile") }
    var ids: [FastPathProgram: UInt32] = [:]
    for program in FastPathProgram.allCases {
      ids[program] = try BPFProgram(pinned: PinnedFastPath.path(program.rawValue))?.id()
    }
    let knownPods = try pods.keys()
    var socket = try RouteSocket(port: FastPathReconciler.port)
    let links = try socket.links()
    let disciplines = try socket.queueingDisciplines()
    return NodeSide(
      links: links, socket: socket, disciplines: disciplines, fastPath: fastPath,
      programs: Programs(fromNode: fromNode, toNode: toNode, ids: ids), peers: peers, pods: pods,
      knownPods: knownPods)
  }

  // MARK: Programs

  /// Attaches to these interfaces of the node, and to no others.
  mutating func attach(to used: Set<Int32>, _ report: inout FastPathReport) throws {
    for link in links where used.contains(link.index) {
      guard try !filters(of: link.index).have(programs.ids, ingress: .fromNode, egress: .toNode) else {
        report.places.insert(link.name)
        continue
      }
      do throws(NetlinkError) {
        guard try socket.ensureFilterHooks(of: link.index) else {
          report.problems.append(
            "nothing is carried from and to \(link.name): it has an ingress qdisc: use clsact instead, which has room for both"
          )
          continue
        }
        // First the one that remembers what the other one has seen go by.
        try socket.perform(.setFilter(FastPathProgram.toNode.rawValue, programs.toNode, at: .egress, of: link.index))
        try socket.perform(
          .setFilter(FastPathProgram.fromNode.rawValue, programs.fromNode, at: .ingress, of: link.index))
        report.changes.append(FastPathChange(verb: .attached, subject: link.name))
        report.places.insert(link.name)
      } catch {
        report.problems.append("nothing is carried from and to \(link.name): \(error)")
      }
    }
    // Such as one whose last peer has gone elsewhere.
    for link in links where !used.contains(link.index) && has("clsact", link.index) {
      guard try socket.filters(at: .ingress, of: link.index).contains(where: { $0.isOurs && $0.isNodes }) else {
        continue
      }
      try socket.removeOurFilters(from: link.index)
      report.changes.append(FastPathChange(verb: .detached, subject: link.name))
    }
  }

  private func has(_ kind: String, _ link: Int32) -> Bool {
    disciplines.contains { $0.linkIndex == link && $0.kind == kind }
  }

  /// What is at both hooks of a link.
  private struct Filters {
    var ingress: [Filter] = []
    var egress: [Filter] = []

    /// - Parameter ids: the kernel's numbers of the programs that are pinned.
    func have(_ ids: [FastPathProgram: UInt32], ingress first: FastPathProgram, egress last: FastPathProgram) -> Bool {
      ingress.filter(\.isOurs).map(\.program?.id).contains(ids[first])
        && egress.filter(\.isOurs).map(\.program?.id).contains(ids[last])
    }

    /// Whether a pod's packets would pass by somebody else's: what comes to it is put straight into it, and what it sends
    /// comes no further than to ours.
    var wouldBePassedBy: Bool {
      egress.contains { !$0.isOurs } || ingress.contains { !$0.isOurs && $0.priority >= Filter.ourPriority }
    }
  }

  private mutating func filters(of link: Int32) throws -> Filters {
    guard has("clsact", link) else { return Filters() }
    return try Filters(
      ingress: socket.filters(at: .ingress, of: link), egress: socket.filters(at: .egress, of: link))
  }

  // MARK: Maps

  mutating func fill(peers wanted: [IPPrefix: FastPathPeer], _ report: inout FastPathReport) throws {
    var missing: [[UInt8]: (IPPrefix, FastPathPeer)] = [:]
    for (subnet, peer) in wanted { missing[FastPathPeer.key(subnet)] = (subnet, peer) }
    for key in try peers.keys() {
      guard let (_, peer) = missing[key] else {
        try peers.remove(key)
        report.changes.append(FastPathChange(verb: .peerRemoved, subject: FastPathPeer.subnet(key)))
        continue
      }
      if try peers.value(of: key) == peer.value { missing[key] = nil }
    }
    for (key, (subnet, peer)) in missing {
      try peers.set(key, to: peer.value)
      report.changes.append(FastPathChange(verb: .peerSet, subject: "\(subnet)"))
    }
  }

  mutating func fill(_ places: ([Link]) throws -> [FastPathPlace], _ report: inout FastPathReport) throws {
    var wanted: [[UInt8]: FastPathPod] = [:]
    for place in try places(links) {
      let link = place.pod.link
      let addresses = try place.addresses.filter { try fastPath.isOwn($0) }
      guard !addresses.isEmpty else { continue }
      let filters = try filters(of: link)
      guard !isQueued(link), !filters.wouldBePassedBy else {
        report.limitedPods += 1
        continue
      }
      if !filters.have(programs.ids, ingress: .fromPod, egress: .toPod) {
        // Where the hooks are it is too late to wait.
        guard place.wait == .zero || has("clsact", link) else {
          report.wait = min(report.wait ?? place.wait, place.wait)
          continue
        }
        do throws(NetlinkError) {
          guard try fastPath.attach(to: link, &socket) else { continue }
          report.changes.append(FastPathChange(verb: .attached, subject: place.owner))
        } catch {
          // Pods come and go.
          if error.errno != ENODEV { report.problems.append("\(place.owner) has no fast path: \(error)") }
          continue
        }
      }
      report.places.insert(place.owner)
      for address in addresses { wanted[FastPathPod.key(address)] = place.pod }
    }
    report.podCount = wanted.count
    for key in knownPods where wanted[key] == nil {
      try pods.remove(key)
      report.changes.append(FastPathChange(verb: .podRemoved, subject: FastPathPod.text(key)))
    }
    for (key, pod) in wanted {
      let value = try pods.value(of: key)
      // One that has gone since the pass began went with its pod.
      guard value != pod.value, value != nil || !knownPods.contains(key) else { continue }
      try pods.set(key, to: pod.value)
      report.changes.append(FastPathChange(verb: .podSet, subject: FastPathPod.text(key)))
    }
  }

  /// Whether somebody, such as the bandwidth plugin, has put a queue before the pod or behind it.
  private func isQueued(_ link: Int32) -> Bool {
    disciplines.contains { $0.linkIndex == link && !["noqueue", "clsact"].contains($0.kind) }
  }
}

extension Filter {
  fileprivate var isNodes: Bool {
    [FastPathProgram.fromNode, .toNode].contains { $0.rawValue == program?.name }
  }
}
