package import Addresses
internal import CBPF
package import FastPath
package import Linux
package import Netlink

/// Makes the fast path what it must be: programs loaded and attached, the maps filled. As with the routes what is in the
/// kernel is the only state, and start, repair and restart are one pass.
package struct FastPathReconciler: Sendable {
  private let mode: FastPathMode
  private let wanted: FlowKnowledge?
  private let loader: ProgramLoader
  private let conntrack: ConntrackSettings

  /// `nlmsg_pid` of the sockets by which this process changes filters: it need not look again for what it did itself.
  package static let port = 0x4B00_0000 | UInt32(truncatingIfNeeded: CurrentProcess.identifier)

  /// - Parameter knowledge: `nil` for the best that the kernel has.
  package init(mode: FastPathMode, knowledge: FlowKnowledge?, stateDirectory: String) {
    self.mode = mode
    wanted = knowledge
    loader = ProgramLoader(stateDirectory: stateDirectory)
    conntrack = ConntrackSettings(stateDirectory: stateDirectory)
  }

  /// A route that the kernel has to another node's pods.
  package struct Peer: Sendable, Equatable {
    package let subnet: IPPrefix
    package let link: Int32
    package let nextHop: IPAddress

    package init(subnet: IPPrefix, link: Int32, nextHop: IPAddress) {
      self.subnet = subnet
      self.link = link
      self.nextHop = nextHop
    }
  }

  /// Brings the programs into the kernel, where they are wanted and not there; says why that can't be.
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

  /// One pass in the calling thread's network namespace; it blocks, and must not run twice at a time.
  ///
  /// - Parameters:
  ///   - own: this node's subnets.
  ///   - peers: the other nodes'.
  ///   - pods: those of this node, given its links.
  package func reconcile(
    own: [IPPrefix], peers: [Peer], pods: ([Link]) throws -> [FastPathPlace]
  ) -> FastPathReport {
    var report = FastPathReport()
    do {
      if mode == .off { remove(&report) } else { try keep(own, peers, pods, &report) }
    } catch let error as FastPathError {
      report.state = .unavailable("\(error)")
      // What runs by maps that nobody looks after is worse than nothing.
      remove(&report)
    } catch {
      report.problems.append("the fast path can't be looked after: \(error)")
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
    // What a tunnel wraps goes the ordinary way.
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

  /// How much was carried and how much passed on, and why; `nil` where this node has no fast path.
  package func counts() throws(SystemError) -> [FastPathCount]? {
    let processors = libbpf_num_possible_cpus()
    guard processors > 0 else { throw SystemError("count", "the processors", errno: -processors) }
    return try FastPathCount.all(processors: Int(processors))
  }

  /// Detaches all programs of this namespace, and removes them with their maps: from here on everything goes the
  /// ordinary way. What conntrack was told stays, for the flows that were carried.
  ///
  /// Nothing stays because something else can't go; without bpf(2), which an agent without the fast path may not have the
  /// right to.
  ///
  /// - Returns: whether anything has gone, and why something stays.
  private func remove() -> (hasGone: Bool, failure: (any Error)?) {
    var hasGone = false
    var failure: (any Error)?
    func attempt(_ step: () throws -> Bool) {
      do { if try step() { hasGone = true } } catch { failure = failure ?? error }
    }
    // First: an ADD that has found the programs looks for them again when it has attached them. If they are still there,
    // they are found attached here.
    for directory in [PinnedFastPath.directory, ProgramLoader.aside] {
      attempt { try ProgramLoader.unpin(directory) }
    }
    attempt {
      var socket = try RouteSocket(port: FastPathReconciler.port)
      guard try socket.removeOurFilters() else { return false }
      // Where links go meanwhile the kernel may leave one out of its list, and an ADD is at it at the same time.
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

  /// The same, and conntrack's settings as they were; says whether there was anything.
  package func clean() throws -> Bool {
    let (hasGone, failure) = remove()
    try conntrack.restore()
    if let failure { throw failure }
    return hasGone
  }
}

extension RouteSocket {
  /// From all links; programs run on without their pins. Says whether there were any.
  fileprivate mutating func removeOurFilters() throws(NetlinkError) -> Bool {
    var wereThere = false
    for discipline in try queueingDisciplines() where discipline.kind == "clsact" {
      if try removeOurFilters(from: discipline.linkIndex) { wereThere = true }
    }
    return wereThere
  }
}
