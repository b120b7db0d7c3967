internal import Addresses
internal import FastPath
package import JSON
package import Linux
internal import Netlink
internal import NodeRoutes
internal import Nodes
internal import OwnNode
package import Parts

extension Trigger {
  /// Another program has changed a link, a qdisc or a filter.
  package static let filters = Trigger("filters")
}

/// The fast path as a part of the agent; if it is off, the removal of what an earlier agent has left of it.
package struct FastPathPart: NodePart {
  private let reconciler: FastPathReconciler
  private let mode: FastPathMode
  private let pods: FastPathPods

  /// The pause before the next attempt to remove what is left.
  private static let removalPause = Duration.seconds(30)

  /// - Parameter knowledge: `nil` for the best that the kernel has.
  package init(mode: FastPathMode, knowledge: FlowKnowledge?, stateDirectory: String) {
    reconciler = FastPathReconciler(mode: mode, knowledge: knowledge, stateDirectory: stateDirectory)
    self.mode = mode
    pods = FastPathPods(stateDirectory: stateDirectory)
  }

  package var name: String { "fast path" }
  package var stage: Stage { .extras }
  package var triggers: Set<Trigger> { mode == .off ? [] : [.links, .filters, .end(of: RoutesPart.name)] }
  package var startsAtOnce: Bool { mode == .off }
  package var capabilities: Capabilities { mode == .off ? [] : .loadPrograms }

  /// Pods that come and go bring notifications without end: passes may take a fifth of the time.
  package var pacing: Pacing {
    let rhythm = Pacing.Rhythm(burst: .milliseconds(5)) { pass in min(pass.duration * 4, .seconds(2)) }
    return Pacing(nodes: rhythm, others: rhythm, isPeriodic: mode != .off)
  }

  package var feeds: [Feed] {
    guard mode != .off else { return [] }
    return [
      Feed(.filters) { fire in
        var events = try TrafficControlEvents()
        while fire() { _ = try events.waitForChange(atMost: .seconds(30), but: FastPathReconciler.port) }
      }
    ]
  }

  package func prepare() throws {
    if let error = reconciler.prepare(), mode == .on { throw FastPathRefused(reason: error) }
  }

  package func reconcile(_ view: NodeView, since previous: FastPathReport?) throws -> FastPathReport {
    var report = mode == .off ? reconciler.reconcile(own: [], peers: []) { _ in [] } : try keep(view)
    report.hasNewState = previous.map { $0.state != report.state } ?? !report.changes.isEmpty
    if let previous { report.repairCount = report.restoredPrograms(since: previous) }
    report.nextPass = mode == .off && report.leavesBehind ? FastPathPart.removalPause : report.wait
    return report
  }

  private func keep(_ view: NodeView) throws -> FastPathReport {
    let routes = try view.report(Reconciler.Report.self)
    let node = routes.own.node
    return reconciler.reconcile(
      own: node.subnets.values,
      peers: routes.peers.compactMap { peer in
        guard let subnet = peer.subnet, let link = peer.installedLink, let gateway = peer.gateway else { return nil }
        return FastPathReconciler.Peer(subnet: subnet, link: link, nextHop: gateway)
      },
      pods: { try pods.places($0) })
  }

  package func clean() throws -> [Change] { try reconciler.clean() ? [Change("fast path removed")] : [] }

  /// Mode `auto` is content without a fast path, but not with programs that must be removed.
  package func verify(_ report: FastPathReport) throws {
    if mode == .on, let reason = report.unavailability { throw FastPathRefused(reason: FastPathError(reason)) }
    if report.leavesBehind || (mode == .on && !report.problems.isEmpty) { throw NotSettled() }
  }

  /// The report, unless there is no fast path and nothing left of one.
  private func shown(_ report: FastPathReport?) -> FastPathReport? {
    mode == .off && report?.leavesBehind == false ? nil : report
  }

  package func metrics(_ report: FastPathReport?, _ tally: PartTally) -> [Metric] {
    guard let report = shown(report) else { return [] }
    let counts = (try? reconciler.counts()) ?? []
    func labels(_ count: FastPathCount) -> Metric.Labels {
      [("direction", count.direction.name), ("reason", count.reason.name)]
    }
    return [
      Metric(.gauge, "causeway_fast_path_up", "Whether the fast path is in.", report.isOn ? 1 : 0),
      Metric(
        .gauge, "causeway_fast_path_addresses", "Addresses of pods that use the fast path.", Double(report.podCount)),
      Metric(
        .counter, "causeway_fast_path_repairs_total", "Programs of the fast path that were put back.",
        Double(tally.repairs)),
      Metric(
        .counter, "causeway_fast_path_packets_total",
        "Packets carried, or passed on to the ordinary path for a reason.",
        counts.map { (labels($0), Double($0.packets)) }),
      Metric(
        .counter, "causeway_fast_path_bytes_total", "Bytes of these.", counts.map { (labels($0), Double($0.bytes)) }),
    ]
  }

  package func json(_ report: FastPathReport?, _ tally: PartTally) -> JSONObject {
    let counts = try? reconciler.counts()
    let report = shown(report)
    guard counts != nil || report != nil else { return ["fastPath": .null] }
    var object = FastPathPart.state(report)
    if let report {
      object["peers"] = .integer(Int64(report.peerCount))
      object["addresses"] = .integer(Int64(report.podCount))
      object["limitedPods"] = .integer(Int64(report.limitedPods))
      object["repairs"] = .integer(Int64(tally.repairs))
    }
    for direction in FastPathCount.Direction.allCases {
      var reasons: JSONObject = [:]
      for count in counts ?? [] where count.direction == direction {
        reasons[count.reason.name] = [
          "packets": .integer(Int64(clamping: count.packets)), "bytes": .integer(Int64(clamping: count.bytes)),
        ]
      }
      object[direction.name] = .object(reasons)
    }
    return ["fastPath": .object(object)]
  }

  /// The state as `status` shows it. Programs that are there without an agent are on.
  private static func state(_ report: FastPathReport?) -> JSONObject {
    switch report?.state {
    case nil: ["state": "on"]
    case .off: ["state": "off"]
    case .on(let knowledge, let reason):
      ["state": "on", "flows": .string(knowledge.rawValue), "reason": reason.map { .string($0) } ?? .null]
    case .unavailable(let reason): ["state": "unavailable", "reason": .string(reason)]
    }
  }

  package func lines(_ status: JSONObject, _ paint: StatusPaint) -> [String] {
    guard let fastPath = status["fastPath"]?.object, let state = fastPath["state"]?.string else { return [] }
    guard state == "on" else { return ["Fast:    \(paint(state, state == "off" ? .yellow : .red))"] }
    let flows = fastPath["flows"]?.string.map { ", flows known by \($0)" } ?? ""
    let directions = [("from-pod", "from pods"), ("to-pod", "to pods")].map { key, words in
      let reasons = fastPath[key]?.object ?? [:]
      let total = reasons.members.reduce(Int64(0)) { $0 + (FastPathPart.packets($1.value) ?? 0) }
      return "\(words) \(FastPathPart.packets(reasons["carried"]) ?? 0) of \(total) packets carried"
    }
    return ["Fast:    \(paint("on", .green))\(flows); \(directions.joined(separator: ", "))"]
  }

  private static func packets(_ count: JSONValue?) -> Int64? {
    if case .integer(let packets)? = count?.object?["packets"] { packets } else { nil }
  }
}

/// `--fast-path on` on a node that cannot have a fast path.
struct FastPathRefused: Error, CustomStringConvertible {
  let reason: FastPathError

  var description: String { "there is no fast path: \(reason); --fast-path auto does without" }
}
