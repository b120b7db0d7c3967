package import Addresses
internal import JSON
internal import Linux
package import Logging
package import Nodes
package import NodeState
internal import StoreTransport
internal import Synchronization

/// Settings of this node's lease in Kubernetes.
package struct KubeLeaseSettings: Sendable {
  /// Whether to maintain the node's condition `NetworkUnavailable`.
  package var setsNetworkUnavailable: Bool
  /// Files with the node's earlier subnets: `subnet.env`, and the copy that survives a reboot.
  package var files: PublishedLease
  /// Whether pods on this node have addresses of a subnet.
  package var hasPods: @Sendable (IPPrefix) -> Bool

  /// Makes the settings.
  package init(setsNetworkUnavailable: Bool, files: PublishedLease, hasPods: @escaping @Sendable (IPPrefix) -> Bool) {
    self.setsNetworkUnavailable = setsNetworkUnavailable
    self.files = files
    self.hasPods = hasPods
  }
}

/// Takes this node's subnets from its Node object in Kubernetes, and publishes its addresses and the state of its
/// network there.
package actor KubeLeaseHolder: LeaseHolder {
  private let nodes: KubeNodes
  private let view: KubeView
  private let settings: KubeLeaseSettings
  private let ownAddresses: OwnAddresses
  private let conditions: AgentConditions
  private let logger: Logger
  private let wakeUps: AsyncStream<Void>
  nonisolated private let wakeUp: AsyncStream<Void>.Continuation
  nonisolated private let mayHaveMoved = Atomic(true)
  nonisolated private let network = Mutex<NetworkReport?>(nil)

  private var addressSearches = AddressSearches()
  /// Addresses by which other nodes reach this one, at most one of each family.
  package var addresses: [IPAddress] { addressSearches.addresses }
  /// Preferred addresses of the latest search.
  private var wishes: [IPAddress] = []
  /// Addresses that annotations choose but no usable link has, for which a warning has been logged.
  private var unusable: [IPAddress] = []
  /// Summary of the latest patch, and its time by the monotonic clock. The view may not show the patch yet.
  private var written: (text: String, time: Duration)?
  /// Earliest time of the next patch after a failure, by the monotonic clock.
  private var notBefore = Duration.zero
  private var backOff = BackOff()
  private var failure: String?
  private var timer: Task<Void, any Error>?

  /// Makes a holder that does nothing before `run`.
  ///
  /// - Parameters:
  ///   - view: what is known of the cluster; a feed keeps it current.
  ///   - ownAddresses: finds this node's addresses.
  ///   - conditions: receives the state of the lease.
  package init(
    _ nodes: KubeNodes, _ view: KubeView, settings: KubeLeaseSettings, ownAddresses: @escaping OwnAddresses,
    conditions: AgentConditions, logger: Logger
  ) {
    self.nodes = nodes
    self.view = view
    self.settings = settings
    self.ownAddresses = ownAddresses
    self.conditions = conditions
    self.logger = logger
    (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    view.listen { [wakeUp] in wakeUp.yield() }
  }

  /// Reports that this node's addresses may have changed.
  package nonisolated func linksChanged() {
    mayHaveMoved.store(true, ordering: .relaxed)
    wakeUp.yield()
  }

  /// Sets the state of this node's network that the condition `NetworkUnavailable` should report from now on.
  package nonisolated func networkIs(_ report: NetworkReport) {
    let isNew = network.withLock { network in
      defer { network = report }
      return network != report
    }
    if isNew { wakeUp.yield() }
  }

  /// Runs until the task is cancelled.
  package func run() async {
    wakeUp.yield()
    for await _ in wakeUps {
      if Task.isCancelled { return }
      var pause: Duration?
      do {
        pause = try await pass()
        if failure != nil { logger.info("the Node object can be maintained again") }
        failure = nil
        backOff.reset()
      } catch let postponed as PostponedPatch {
        pause = postponed.pause
      } catch {
        if Task.isCancelled { return }
        if failure != "\(error)" { logger.error("the Node object can't be maintained: \(error)") }
        failure = "\(error)"
        pause = max(notBefore - MonotonicTime.now, .zero)
        if pause == .zero { pause = backOff.next() }
      }
      conditions.nodeIsWritten(failure: failure)
      setTimer(pause)
    }
  }

  /// Sets the timer to the next pass.
  private func setTimer(_ pause: Duration?) {
    timer?.cancel()
    let search = addressSearches.postponed.map { max($0 - MonotonicTime.now, .milliseconds(1)) }
    guard let next = [pause, search].compactMap({ $0 }).min() else { return }
    timer = Task { [wakeUp] in
      try await Task.sleep(for: next)
      wakeUp.yield()
    }
  }

  /// Takes over this node's subnets and patches its node if necessary.
  ///
  /// - Returns: time to the next pass; `nil` if only events can bring new work.
  private func pass() async throws -> Duration? {
    addressSearches.forgetPostponed()
    switch view.content.usable {
    case nil: return nil
    case .failure(let error):
      if case .noNode = error { refuse(error) } else if !isHeld { refuse(error) }
      return nil
    case .success(let (_, node, netConf)):
      guard let own = node.own else { return nil }
      do {
        try await findAddresses(own, netConf)
      } catch {
        if !isHeld { conditions.leaseIs(.refused("\(error)"), subnets: publishEarlier(), expiry: nil) }
        throw error
      }
      hold(node, own, in: netConf)
      return try await patch(own, netConf)
    }
  }

  private func findAddresses(_ own: KubeNode.Own, _ netConf: NetConf) async throws {
    // Addresses that annotations choose, then those that kubelet reports.
    let wishes = own.chosen + own.internalIPs
    if wishes != self.wishes { mayHaveMoved.store(true, ordering: .relaxed) }
    guard addressSearches.begin(mayHaveMoved) else { return }
    self.wishes = wishes
    let areFirst = addresses.isEmpty
    do {
      let areOthers = addressSearches.take(
        try await ownAddresses(wishes, netConf.families, netConf.networks, addresses))
      if areOthers, !areFirst { nodes.client.reconnect() }
      let unusable = own.chosen.filter { !addresses.contains($0) }
      for address in unusable where !self.unusable.contains(address) {
        logger.warning(
          "\(address) is chosen by an annotation of this node, but it is not used: no usable link has it")
      }
      self.unusable = unusable
    } catch {
      // Known addresses stay in use; the next change of a link starts another search.
      if addresses.isEmpty { throw error }
    }
  }
}

// MARK: Subnets

extension KubeLeaseHolder {
  private var isHeld: Bool { view.content.own != nil && conditions.lease.state == .held }

  /// Takes over the subnets that the cluster has assigned to this node.
  private func hold(_ node: KubeNode, _ own: KubeNode.Own, in netConf: NetConf) {
    let given = netConf.families.compactMap { family in
      node.subnet(family).flatMap { $0.prefix.problemAsSubnet == nil ? $0.prefix : nil }
    }
    let subnets = given.filter { subnet in netConf.network(subnet.family)?.contains(subnet) ?? false }
    guard !subnets.isEmpty else {
      if let foreign = given.first, let network = netConf.network(foreign.family) {
        refuse(.foreignSubnet(node: node.name, subnet: "\(foreign)", network: "\(network)"))
      } else {
        refuse(own.problem.map { .badSubnet(node: node.name, reason: $0) } ?? .noSubnet(node: node.name))
      }
      return
    }
    let before = earlierSubnets
    show(subnets)
    // A problem reported until now may have been caused by the missing subnet; the next pass of the agent reports
    // again.
    if conditions.lease.state != .held { network.withLock { if $0 != .isUp { $0 = nil } } }
    guard conditions.leaseIs(.held, subnets: subnets, expiry: nil) || before != subnets else { return }
    logger.info("subnets of this node", metadata: ["subnets": "\(subnets.map { "\($0)" }.joined(separator: ","))"])
    for old in before where !subnets.contains(old) {
      logger.warning(
        settings.hasPods(old)
          ? "this node no longer has the subnet \(old): other nodes have no route to pods that live in it; restart them"
          : "this node no longer has the subnet \(old)")
    }
  }

  /// Publishes that there is no subnet. Pods keep the addresses that they have.
  private func refuse(_ error: KubeError) {
    let subnets = publishEarlier()
    if view.content.refusal != error { view.update { $0.refusal = error } }
    let state: AgentConditions.Lease.State =
      switch conditions.lease.state {
      case .held, .lost, .unconfirmed: .lost("\(error)")
      case .none, .refused: .refused("\(error)")
      }
    if conditions.leaseIs(state, subnets: subnets, expiry: nil) {
      logger.error("no subnet: \(error); this node's pods and routes stay as they are")
    }
  }

  /// Subnets that this node had so far.
  private var earlierSubnets: [IPPrefix] {
    if let own = view.content.own { return own.subnets.values }
    return settings.files.read()?.subnets.map(\.network) ?? []
  }

  /// Shows the earlier subnets in the view if it has none.
  private func publishEarlier() -> [IPPrefix] {
    let subnets = earlierSubnets
    if view.content.own == nil, !addresses.isEmpty, !subnets.isEmpty { show(subnets) }
    return subnets
  }

  private func show(_ subnets: [IPPrefix]) {
    var own = Node(name: nodes.ownName, addresses: addresses)
    for subnet in subnets { own.setSubnet(subnet) }
    guard view.content.own != own || view.content.refusal != nil else { return }
    view.update { content in
      content.own = own
      content.refusal = nil
    }
  }
}

// MARK: Patches

extension KubeLeaseHolder {
  /// Least time between two equal patches.
  private static let rest = Duration.seconds(5)

  /// Patches this node where its annotations or its condition differ from the desired ones.
  ///
  /// - Returns: time to the pass that checks the result; `nil` if nothing differs.
  private func patch(_ own: KubeNode.Own, _ netConf: NetConf) async throws -> Duration? {
    let report = settings.setsNetworkUnavailable ? network.withLock { $0 } : nil
    let patch = try KubeNodePatch(
      own, node: nodes.ownName, prefix: nodes.annotationPrefix, addresses: addresses, netConf: netConf,
      network: report)
    guard !patch.isEmpty else {
      written = nil
      return nil
    }
    let now = MonotonicTime.now
    guard now >= notBefore else { throw PostponedPatch(pause: notBefore - now) }
    let text = patch.summary
    if let written, written.text == text, now - written.time < KubeLeaseHolder.rest {
      return KubeLeaseHolder.rest - (now - written.time)
    }
    written = (text, now)
    do {
      try await nodes.patchStatus(patch.json(now: MonotonicTime.sinceEpoch))
      logger.info("node patched", metadata: ["what": "\(text)"])
    } catch {
      written = nil
      notBefore = MonotonicTime.now + backOff.next()
      throw error
    }
    return KubeLeaseHolder.rest
  }
}

/// The latest patch has failed, and the pause before the next one is not over.
private struct PostponedPatch: Error {
  let pause: Duration
}
