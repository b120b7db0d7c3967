internal import Addresses
internal import FastPath
internal import Glibc
internal import Linux
internal import Netlink

/// The fast path as a pass finds it in the kernel: links, filters and maps, and the changes to them.
struct KernelFastPath: ~Copyable {
  /// All links of the network namespace.
  let links: [Link]
  private var socket: RouteSocket
  private let disciplines: [QueueingDiscipline]
  private let fastPath: PinnedFastPath
  private let programs: Programs
  private let peers: BPFMap
  private let pods: BPFMap
  /// The keys in `pods`, read before links and records. A pod's entry is made last, so the link and record of each of
  /// these are found if they still exist.
  private let knownPods: [[UInt8]]

  /// The programs for the node's interfaces, and the kernel's IDs of all programs.
  private struct Programs: ~Copyable {
    let fromNode: BPFProgram
    let toNode: BPFProgram
    let ids: [FastPathProgram: UInt32]
  }

  /// Reads the state in the calling thread's network namespace.
  static func read() throws -> KernelFastPath {
    guard let fastPath = try PinnedFastPath(), let peers = try FastPathPeer.map(), let pods = try FastPathPod.map(),
      let fromNode = try BPFProgram(pinned: PinnedFastPath.path(FastPathProgram.fromNode.rawValue)),
      let toNode = try BPFProgram(pinned: PinnedFastPath.path(FastPathProgram.toNode.rawValue))
    else { throw FastPathError("the programs and maps in \(PinnedFastPath.directory) were removed meanwhile") }
    var ids: [FastPathProgram: UInt32] = [:]
    for program in FastPathProgram.allCases {
      ids[program] = try BPFProgram(pinned: PinnedFastPath.path(program.rawValue))?.id()
    }
    let knownPods = try pods.keys()
    var socket = try RouteSocket(port: FastPathReconciler.port)
    let links = try socket.links()
    let disciplines = try socket.queueingDisciplines()
    return KernelFastPath(
      links: links, socket: socket, disciplines: disciplines, fastPath: fastPath,
      programs: Programs(fromNode: fromNode, toNode: toNode, ids: ids), peers: peers, pods: pods,
      knownPods: knownPods)
  }

  // MARK: Programs

  /// Attaches the node's programs to these interfaces, and detaches them from all others.
  ///
  /// - Parameter used: indexes of the node's interfaces that lead to peers.
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
        // First the program that records which packets the other one has let into the ordinary path.
        try socket.perform(.setFilter(FastPathProgram.toNode.rawValue, programs.toNode, at: .egress, of: link.index))
        try socket.perform(
          .setFilter(FastPathProgram.fromNode.rawValue, programs.fromNode, at: .ingress, of: link.index))
        report.changes.append(FastPathChange(verb: .attached, subject: link.name))
        report.places.insert(link.name)
      } catch {
        report.problems.append("nothing is carried from and to \(link.name): \(error)")
      }
    }
    // Interfaces that no longer lead to a peer.
    for link in links where !used.contains(link.index) && hasHooks(link.index) {
      guard try socket.filters(at: .ingress, of: link.index).contains(where: { $0.isOurs && $0.isForNode }) else {
        continue
      }
      try socket.removeOurFilters(from: link.index)
      report.changes.append(FastPathChange(verb: .detached, subject: link.name))
    }
  }

  private func hasHooks(_ link: Int32) -> Bool {
    disciplines.contains { $0.linkIndex == link && $0.kind == "clsact" }
  }

  /// The filters at both hooks of a link.
  private struct Filters {
    var ingress: [Filter] = []
    var egress: [Filter] = []

    /// Whether the pinned programs are attached.
    ///
    /// - Parameter ids: the kernel's IDs of the pinned programs.
    func have(_ ids: [FastPathProgram: UInt32], ingress: FastPathProgram, egress: FastPathProgram) -> Bool {
      self.ingress.filter(\.isOurs).map(\.program?.id).contains(ids[ingress])
        && self.egress.filter(\.isOurs).map(\.program?.id).contains(ids[egress])
    }

    /// Whether carried packets of the pod would bypass filters of others. Packets to the pod bypass all egress filters;
    /// packets from the pod bypass the ingress filters behind ours.
    var wouldBeBypassed: Bool {
      egress.contains { !$0.isOurs } || ingress.contains { !$0.isOurs && $0.priority >= Filter.ourPriority }
    }
  }

  private mutating func filters(of link: Int32) throws -> Filters {
    guard hasHooks(link) else { return Filters() }
    return try Filters(
      ingress: socket.filters(at: .ingress, of: link), egress: socket.filters(at: .egress, of: link))
  }

  // MARK: Maps

  /// Makes the map `peers` contain these subnets and no others.
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

  /// Attaches the programs to pods' links, and makes the map `pods` contain their addresses and no others.
  ///
  /// Pods with a bandwidth limit, or with a filter that would be bypassed, are left out.
  mutating func fill(_ places: ([Link]) throws -> [FastPathPlace], _ report: inout FastPathReport) throws {
    var wanted: [[UInt8]: FastPathPod] = [:]
    for place in try places(links) {
      let link = place.pod.link
      let addresses = try place.addresses.filter { try fastPath.isOwn($0) }
      guard !addresses.isEmpty else { continue }
      let filters = try filters(of: link)
      guard !isQueued(link), !filters.wouldBeBypassed else {
        report.limitedPods += 1
        continue
      }
      if !filters.have(programs.ids, ingress: .fromPod, egress: .toPod) {
        // Until the chain has ended its plugins may need the hooks. Where the hooks exist waiting changes nothing.
        guard place.wait == .zero || hasHooks(link) else {
          report.wait = min(report.wait ?? place.wait, place.wait)
          continue
        }
        do throws(NetlinkError) {
          guard try fastPath.attach(to: link, &socket) else { continue }
          report.changes.append(FastPathChange(verb: .attached, subject: place.owner))
        } catch {
          // The pod may have been deleted meanwhile.
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
      // An entry that was removed since the pass began was removed with its pod.
      guard value != pod.value, value != nil || !knownPods.contains(key) else { continue }
      try pods.set(key, to: pod.value)
      report.changes.append(FastPathChange(verb: .podSet, subject: FastPathPod.text(key)))
    }
  }

  /// Whether the link has a queueing discipline of others, such as the `bandwidth` plugin's.
  private func isQueued(_ link: Int32) -> Bool {
    disciplines.contains { $0.linkIndex == link && !["noqueue", "clsact"].contains($0.kind) }
  }
}

extension Filter {
  /// Whether the program is one for the node's interfaces.
  fileprivate var isForNode: Bool {
    [FastPathProgram.fromNode, .toNode].contains { $0.rawValue == program?.name }
  }
}
