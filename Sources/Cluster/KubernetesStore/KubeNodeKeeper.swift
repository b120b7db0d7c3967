package import Addresses
internal import JSON
internal import Linux
package import Logging
package import Nodes
package import NodeState
internal import StoreTransport
internal import Synchronization

/// How this node is kept in Kubernetes.
package struct KubeNodeSettings: Sendable {
  /// Whether the condition `NetworkUnavailable` is kept.
  package var setsNetworkUnavailable: Bool
  /// Where earlier subnets of the node are written: `subnet.env`, then the copy that survives a reboot.
  package var files: PublishedLease
  /// Whether pods on this node live in a subnet.
  package var hasPods: @Sendable (IPPrefix) -> Bool

  package init(setsNetworkUnavailable: Bool, files: PublishedLease, hasPods: @escaping @Sendable (IPPrefix) -> Bool) {
    self.setsNetworkUnavailable = setsNetworkUnavailable
    self.files = files
    self.hasPods = hasPods
  }
}

/// Takes this node's subnets from its node in Kubernetes, and tells there by which addresses others reach it and whether
/// its network is up.
package actor KubeNodeKeeper: NodeKeeper {
  private let client: KubeClient
  private let view: KubeView
  private let settings: KubeNodeSettings
  private let ownAddresses: OwnAddresses
  private let conditions: AgentConditions
  private let logger: Logger
  private let wakeUps: AsyncStream<Void>
  nonisolated private let wakeUp: AsyncStream<Void>.Continuation
  nonisolated private let mayHaveMoved = Atomic(true)
  nonisolated private let network = Mutex<NetworkReport?>(nil)

  private var looks = AddressLooks()
  package var addresses: [IPAddress] { looks.addresses }
  /// What the addresses were chosen by.
  private var wishes: [IPAddress] = []
  /// Chosen by annotations though no link has them; said once.
  private var unusable: [IPAddress] = []
  /// What was written last: the view may not show it yet.
  private var written: (text: String, time: Duration)?
  /// Until when nothing is written after that has failed: nodes and links that change have nothing to do with it.
  private var notBefore = Duration.zero
  private var backOff = BackOff()
  private var failure: String?
  private var timer: Task<Void, any Error>?

  package init(
    _ client: KubeClient, _ view: KubeView, _ settings: KubeNodeSettings, ownAddresses: @escaping OwnAddresses,
    conditions: AgentConditions, logger: Logger
  ) {
    self.client = client
    self.view = view
    self.settings = settings
    self.ownAddresses = ownAddresses
    self.conditions = conditions
    self.logger = logger
    (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    view.listen { [wakeUp] in wakeUp.yield() }
  }

  package nonisolated func look() {
    mayHaveMoved.store(true, ordering: .relaxed)
    wakeUp.yield()
  }

  /// Whether this node's network is up, as the cluster shall be told; kept to from now on.
  package nonisolated func networkIs(_ report: NetworkReport) {
    let isNew = network.withLock { network in
      defer { network = report }
      return network != report
    }
    if isNew { wakeUp.yield() }
  }

  package func run() async {
    wakeUp.yield()
    for await _ in wakeUps {
      if Task.isCancelled { return }
      var pause: Duration?
      do {
        pause = try await pass()
        if failure != nil { logger.info("the node can be kept again") }
        failure = nil
        backOff.reset()
      } catch let writing as PostponedWriting {
        pause = writing.pause
      } catch {
        if Task.isCancelled { return }
        if failure != "\(error)" { logger.error("the node can't be kept as it should: \(error)") }
        failure = "\(error)"
        pause = max(notBefore - MonotonicTime.now, .zero)
        if pause == .zero { pause = backOff.next() }
      }
      conditions.nodeIsWritten(failure: failure)
      setTimer(pause)
    }
  }

  /// Wakes when there is something to do again.
  private func setTimer(_ pause: Duration?) {
    timer?.cancel()
    let looking = looks.postponed.map { max($0 - MonotonicTime.now, .milliseconds(1)) }
    guard let next = [pause, looking].compactMap({ $0 }).min() else { return }
    timer = Task { [wakeUp] in
      try await Task.sleep(for: next)
      wakeUp.yield()
    }
  }

  /// Looks at what is, does what must be done, and returns how soon to look again, where that is necessary.
  private func pass() async throws -> Duration? {
    looks.forgetPostponed()
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
      hold(node, own, netConf)
      return try await write(own, netConf)
    }
  }

  private func findAddresses(_ own: KubeNode.Own, _ netConf: NetConf) async throws {
    // What people have chosen, then what kubelet has.
    let wishes = own.chosen + own.internalIPs
    if wishes != self.wishes { mayHaveMoved.store(true, ordering: .relaxed) }
    guard looks.begin(mayHaveMoved) else { return }
    self.wishes = wishes
    let areFirst = addresses.isEmpty
    do {
      let areOthers = looks.take(try await ownAddresses(wishes, netConf.families, netConf.networks, addresses))
      if areOthers, !areFirst { client.reconnect() }
      let unusable = own.chosen.filter { !addresses.contains($0) }
      for address in unusable where !self.unusable.contains(address) {
        logger.warning(
          "\(address) is chosen by an annotation of this node, but it is not used: no link that may be has it")
      }
      self.unusable = unusable
    } catch {
      // Who has known addresses keeps them; the kernel tells when there is something to find again.
      if addresses.isEmpty { throw error }
    }
  }
}

// MARK: Subnets

extension KubeNodeKeeper {
  private var isHeld: Bool { view.content.own != nil && conditions.lease.state == .held }

  /// Takes over the subnets that the cluster has given this node.
  private func hold(_ node: KubeNode, _ own: KubeNode.Own, _ netConf: NetConf) {
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
    // What was wrong until now may be right with it: whoever looks next says so.
    if conditions.lease.state != .held { network.withLock { if $0 != .isUp { $0 = nil } } }
    guard conditions.leaseIs(.held, subnets: subnets, expiry: nil) || before != subnets else { return }
    logger.info("subnets of this node", metadata: ["subnets": "\(subnets.map { "\($0)" }.joined(separator: ","))"])
    for old in before where !subnets.contains(old) {
      logger.warning(
        settings.hasPods(old)
          ? "this node no longer has the subnet \(old): other nodes have no route to pods that live in it; start them anew"
          : "this node no longer has the subnet \(old)")
    }
  }

  /// There is no subnet to have; what pods have now goes on as it is.
  private func refuse(_ error: KubeError) {
    let subnets = publishEarlier()
    if view.content.refusal != error { view.update { $0.refusal = error } }
    let state: AgentConditions.Lease.State =
      switch conditions.lease.state {
      case .held, .lost, .unconfirmed: .lost("\(error)")
      case .none, .refused: .refused("\(error)")
      }
    if conditions.leaseIs(state, subnets: subnets, expiry: nil) {
      logger.error("no subnet: \(error); what is on this node stays as it is")
    }
  }

  /// What this node has had so far.
  private var earlierSubnets: [IPPrefix] {
    if let own = view.content.own { return own.subnets.values }
    return settings.files.read()?.subnets.map(\.network) ?? []
  }

  private func publishEarlier() -> [IPPrefix] {
    let subnets = earlierSubnets
    if view.content.own == nil, !addresses.isEmpty, !subnets.isEmpty { show(subnets) }
    return subnets
  }

  private func show(_ subnets: [IPPrefix]) {
    var own = Node(name: client.ownName, addresses: addresses)
    for subnet in subnets { own.setSubnet(subnet) }
    guard view.content.own != own || view.content.refusal != nil else { return }
    view.update { content in
      content.own = own
      content.refusal = nil
    }
  }
}

// MARK: Writing

extension KubeNodeKeeper {
  /// The least time between two writings of the same.
  private static let rest = Duration.seconds(5)

  /// Writes what the cluster does not say of this node as it should; returns how soon to look whether it has come there.
  private func write(_ own: KubeNode.Own, _ netConf: NetConf) async throws -> Duration? {
    let report = settings.setsNetworkUnavailable ? network.withLock { $0 } : nil
    let patch = try KubeNodePatch(
      own, node: client.ownName, prefix: client.annotationPrefix, addresses: addresses, netConf: netConf,
      network: report)
    guard !patch.isEmpty else {
      written = nil
      return nil
    }
    let now = MonotonicTime.now
    guard now >= notBefore else { throw PostponedWriting(pause: notBefore - now) }
    let text = patch.summary
    if let written, written.text == text, now - written.time < KubeNodeKeeper.rest {
      return KubeNodeKeeper.rest - (now - written.time)
    }
    written = (text, now)
    do {
      try await client.patchStatus(patch.json(now: MonotonicTime.sinceEpoch))
      logger.info("node written", metadata: ["what": "\(text)"])
    } catch {
      written = nil
      notBefore = MonotonicTime.now + backOff.next()
      throw error
    }
    return KubeNodeKeeper.rest
  }
}

/// The last writing has failed, and it is too early for the next one.
private struct PostponedWriting: Error {
  let pause: Duration
}
