package import Addresses
internal import CBPF
package import FastPath
package import Linux
package import Netlink

/// Brings the fast path into the wanted state: programs loaded and attached, maps filled. The kernel holds the only
/// state, as with routes, so that start, repair and restart are the same pass.
package struct FastPathReconciler: Sendable {
  private let mode: FastPathMode
  private let wanted: FlowKnowledge?
  private let loader: ProgramLoader
  private let conntrack: ConntrackSettings

  /// `nlmsg_pid` of the sockets with which this process changes filters. It ignores notifications of its own changes.
  package static let port = 0x4B00_0000 | UInt32(truncatingIfNeeded: CurrentProcess.identifier)

  /// Creates a reconciler.
  ///
  /// - Parameter knowledge: how the programs should know flows; `nil` for the best that the kernel supports.
  package init(mode: FastPathMode, knowledge: FlowKnowledge?, stateDirectory: String) {
    self.mode = mode
    wanted = knowledge
    loader = ProgramLoader(stateDirectory: stateDirectory)
    conntrack = ConntrackSettings(stateDirectory: stateDirectory)
  }

  /// An installed route to another node's pods.
  package struct Peer: Sendable, Equatable {
    /// The other node's subnet.
    package let subnet: IPPrefix
    /// Index of the interface that leads there.
    package let link: Int32
    /// The other node's address.
    package let nextHop: IPAddress

    /// Creates a route.
    package init(subnet: IPPrefix, link: Int32, nextHop: IPAddress) {
      self.subnet = subnet
      self.link = link
      self.nextHop = nextHop
    }
  }

  /// Loads the programs if they are wanted and missing.
  ///
  /// - Returns: why that failed; `nil` if it did not.
  package func prepare() -> FastPathError? {
    guard mode != .off else { return nil }
    do throws(FastPathError) {
      try conntrack.check()
      _ = try loader.ensure(wanted, triesAgain: true)
    } catch {
      return error
    }
    return nil
  }

  /// Makes one pass in the calling thread's network namespace. It blocks, and passes must not overlap.
  ///
  /// - Parameters:
  ///   - own: this node's subnets.
  ///   - peers: the routes to other nodes' subnets.
  ///   - pods: finds this node's pods among its links.
  package func reconcile(
    own: [IPPrefix], peers: [Peer], pods: ([Link]) throws -> [FastPathPlace]
  ) -> FastPathReport {
    var report = FastPathReport()
    do {
      if mode == .off { remove(&report) } else { try keep(own, peers, pods, &report) }
    } catch let error as FastPathError {
      report.state = .unavailable("\(error)")
      // Programs whose maps are no longer updated would send packets to outdated addresses.
      remove(&report)
    } catch {
      report.problems.append("the fast path cannot be kept up to date: \(error)")
    }
    return report
  }

  private func keep(
    _ own: [IPPrefix], _ peers: [Peer], _ pods: ([Link]) throws -> [FastPathPlace], _ report: inout FastPathReport
  ) throws {
    try conntrack.check()
    let before = try? loader.currentProgram()
    let (knowledge, reason) = try loader.ensure(wanted)
    report.state = .on(knowledge, reason: reason)
    if try loader.currentProgram() != before {
      report.changes.append(FastPathChange(verb: .loaded, subject: "flows known by \(knowledge.rawValue)"))
    }
    try conntrack.allowFlowsToReturn()
    var node = try KernelFastPath.read()
    var wanted: [IPPrefix: FastPathPeer] = [:]
    for subnet in own { wanted[subnet.network] = .thisNode }
    // Packets that a tunnel wraps take the ordinary path.
    let plain = Set(
      node.links.filter { $0.resolvesNeighbours && $0.hardwareType == 1 && $0.tunnel == nil }.map(\.index))
    for peer in peers where plain.contains(peer.link) {
      wanted[peer.subnet.network] = .node(link: peer.link, nextHop: peer.nextHop)
    }
    let used = Set(peers.map(\.link)).intersection(plain)
    try node.attach(to: used, &report)
    report.peerCount = wanted.values.count { $0 != .thisNode }
    try node.fill(peers: wanted, &report)
    try node.fill(pods, &report)
  }

  /// Reads the programs' counts by direction and reason; `nil` if this node has no fast path.
  package func counts() throws(SystemError) -> [FastPathCount]? {
    let processors = libbpf_num_possible_cpus()
    guard processors > 0 else { throw SystemError("count", "the processors", errno: -processors) }
    return try FastPathCount.all(processors: Int(processors))
  }

  /// Detaches all programs in this namespace, and removes their pins and maps. All packets use the ordinary path then.
  /// Conntrack's settings are kept for flows that were carried.
  ///
  /// Every step is tried even if another one fails. No step calls bpf(2), for which an agent without the fast path may
  /// lack the right.
  ///
  /// - Returns: whether anything was removed, and why something could not be.
  private func remove() -> (hasGone: Bool, failure: (any Error)?) {
    var hasGone = false
    var failure: (any Error)?
    func attempt(_ step: () throws -> Bool) {
      do { if try step() { hasGone = true } } catch { failure = failure ?? error }
    }
    // The pins first: an ADD checks them again after it has attached the programs. If it still finds them, its programs
    // are attached before the list below is read.
    for directory in [PinnedFastPath.directory, ProgramLoader.aside] {
      attempt { try ProgramLoader.unpin(directory) }
    }
    attempt {
      var socket = try RouteSocket(port: FastPathReconciler.port)
      guard try socket.removeOurFilters() else { return false }
      // A second time, because the kernel's list may miss a link while others are removed, and an ADD may run
      // meanwhile.
      _ = try socket.removeOurFilters()
      return true
    }
    attempt {
      try loader.removeMark()
      return false
    }
    return (hasGone, failure)
  }

  private func remove(_ report: inout FastPathReport) {
    let (hasGone, failure) = remove()
    if let failure {
      report.problems.append("what is left of the fast path stays: \(failure)")
    } else if hasGone {
      report.changes.append(FastPathChange(verb: .removed, subject: PinnedFastPath.directory))
    }
  }

  /// Removes the fast path from this node, and restores conntrack's settings.
  ///
  /// - Returns: whether anything was removed.
  /// - Throws: why something could not be removed.
  package func clean() throws -> Bool {
    let (hasGone, failure) = remove()
    try conntrack.restore()
    if let failure { throw failure }
    return hasGone
  }
}

extension RouteSocket {
  /// Removes the fast path's programs from all links, because attached programs run on without their pins.
  ///
  /// - Returns: whether there was a program of ours.
  fileprivate mutating func removeOurFilters() throws(NetlinkError) -> Bool {
    var wereThere = false
    for discipline in try queueingDisciplines() where discipline.kind == "clsact" {
      if try removeOurFilters(from: discipline.linkIndex) { wereThere = true }
    }
    return wereThere
  }
}
