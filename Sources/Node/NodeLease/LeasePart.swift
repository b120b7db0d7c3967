internal import Addresses
internal import Attachments
package import JSON
internal import Linux
package import Nodes
internal import NodeRoutes
package import NodeState
internal import OwnNode
package import Parts

/// Result of the last pass over the lease.
package struct LeaseReport: PartReport {
  /// Lease that the plugin reads now; `nil` if this node has no subnet.
  package let lease: SubnetLease?
  /// Changes that the pass made.
  package let actions: [Change]
  package var findings: [Finding] { [] }

  package init(lease: SubnetLease?, actions: [Change] = []) {
    self.lease = lease
    self.actions = actions
  }
}

/// The node's lease as a part of the agent: `subnet.env`, which the plugin reads, and its copy.
///
/// It comes after the routes, so that no pod starts before its node's routes are in. It is written also if a peer cannot
/// be reached.
package struct LeasePart: NodePart {
  private let files: PublishedLease
  private let conditions: AgentConditions?
  private let pods: HeldAddresses

  /// - Parameter conditions: of a store that gives leases, in an agent.
  package init(files: PublishedLease, conditions: AgentConditions?) {
    self.files = files
    self.conditions = conditions
    pods = HeldAddresses(stateDirectory: files.stateDirectory)
  }

  package var name: String { "lease" }
  package var stage: Stage { .lease }
  package var triggers: Set<Trigger> { [.end(of: RoutesPart.name)] }
  package var pacing: Pacing { .fileCheck }

  package func reconcile(_ view: NodeView, since previous: LeaseReport?) throws -> LeaseReport {
    let routes = try view.report(Reconciler.Report.self)
    guard let lease = routes.lease else {
      try files.withdraw()
      return LeaseReport(lease: nil)
    }
    let isNew = try files.publish(lease, mark: routes.nodes.mark)
    let written = Change(
      "lease written",
      [
        .init(.node, routes.own.node.name), .init(.subnet, lease.subnets.map(\.description).joined(separator: ",")),
        .init("mtu", "\(lease.mtuBytes)"),
      ])
    return LeaseReport(lease: lease, actions: isNew ? [written] : [])
  }

  package func clean() throws -> [Change] {
    try files.remove()
    return [Change("the lease is gone from this node")]
  }

  package func findings(_ report: LeaseReport?) -> [Finding] {
    let shortage = (conditions?.lease.shortage).map { words in
      Finding(
        "CW-LSE-04", .warning, words, remedy: "Remove old leases from the store, or give the cluster a larger network.")
    }
    return [obstacle(report), shortage].compactMap { $0 }
  }

  private func obstacle(_ report: LeaseReport?) -> Finding? {
    let (id, words, remedy): (String, String, String)
    switch conditions?.lease.state {
    case .some(.none):
      (id, words) = ("CW-LSE-01", "the store has not given this node a lease yet")
      remedy = "Wait, or see the agent's log for why the store does not answer."
    case .lost(let reason), .refused(let reason):
      (id, words, remedy) = ("CW-LSE-02", reason, "Correct what the words name, in the store or on this node.")
    case nil, .held, .unconfirmed:
      guard report?.lease == nil else { return nil }
      (id, words) = ("CW-LSE-03", "this node's lease is not written yet")
      remedy = "Wait for the first pass, or give this node a subnet."
    }
    return Finding(id, .waiting, words, remedy: remedy, keepsPodsFromBeingServed: true)
  }

  package func metrics(_ report: LeaseReport?, _ tally: PartTally) -> [Metric] {
    var metrics: [Metric] = []
    if let lease = conditions?.lease {
      metrics.append(
        Metric(
          .gauge, "causeway_lease_held", "Whether the store holds a lease for this node.", lease.state == .held ? 1 : 0)
      )
      if let expiry = lease.expiry {
        metrics.append(
          Metric(
            .gauge, "causeway_lease_expiry_timestamp_seconds",
            "When the lease ends unless it is renewed, since the epoch.", expiry.inSeconds))
      }
    }
    let use = report?.lease.map { AddressUse.of($0, pods) } ?? []
    return metrics + [
      Metric(
        .gauge, "causeway_addresses_used", "Addresses of this node's subnet that pods hold.",
        use.map { ([("subnet", "\($0.subnet)")], $0.used) }),
      Metric(
        .gauge, "causeway_addresses_capacity", "Addresses of this node's subnet that pods may hold.",
        use.map { ([("subnet", "\($0.subnet)")], $0.total) }),
    ]
  }

  /// Lease that the plugin reads now.
  package func json(_ report: LeaseReport?, _ tally: PartTally) -> JSONObject {
    guard let lease = try? SubnetLease.read(files.subnetFile) else { return ["lease": .null] }
    var object: JSONObject = [
      "file": .string(files.subnetFile), "networks": .array(lease.networks.map { .string("\($0)") }),
      "subnets": .array(lease.subnets.map { .string("\($0)") }), "mtu": .integer(Int64(lease.mtuBytes)),
      "ipMasq": .bool(lease.masquerades),
    ]
    if let held = conditions?.lease {
      object["state"] = .string(held.state.name)
      object["reason"] = held.state.reason.map { .string($0) } ?? .null
      object["expiry"] = held.expiry.map { .string(Timestamp.text($0)) } ?? .null
    }
    return ["lease": .object(object)]
  }

  package func lines(_ status: JSONObject, _ paint: StatusPaint) -> [String] {
    guard let lease = status["lease"]?.object else { return ["Lease:   none"] }
    let subnets = lease["subnets"]?.array?.compactMap(\.string).joined(separator: ", ") ?? ""
    let masquerade = lease["ipMasq"] == true ? "masquerade" : "no masquerade"
    let mtu = if case .integer(let number)? = lease["mtu"] { "\(number)" } else { "?" }
    return [
      "Lease:   \(subnets), MTU \(mtu), \(masquerade) (\(lease["file"]?.string ?? ""))" + (state(lease, paint) ?? "")
    ]
  }

  /// The state of the lease in a store that gives leases.
  private func state(_ lease: JSONObject, _ paint: StatusPaint) -> String? {
    guard let state = lease["state"]?.string else { return nil }
    guard state == "held" else {
      return ", \(paint(state, .red))" + (lease["reason"]?.string.map { ": \($0)" } ?? "")
    }
    return ", \(paint("held", .green)) " + (lease["expiry"]?.string.map { "until \($0)" } ?? "for ever")
  }
}

extension Pacing {
  /// The pacing of a part that compares a few small files.
  static var fileCheck: Pacing {
    Pacing(others: .init { pass in pass.hasChanges ? .zero : .milliseconds(20) })
  }
}

extension AgentConditions.Lease.State {
  /// One word.
  var name: String {
    switch self {
    case .none: "none"
    case .held: "held"
    case .unconfirmed: "unconfirmed"
    case .lost: "lost"
    case .refused: "refused"
    }
  }

  /// Reason why the lease is not held.
  package var reason: String? {
    switch self {
    case .none, .held: nil
    case .unconfirmed(let reason), .lost(let reason), .refused(let reason): reason
    }
  }
}
