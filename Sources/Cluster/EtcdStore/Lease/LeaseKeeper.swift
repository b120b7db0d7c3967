package import Addresses
internal import Linux
package import Logging
package import Nodes
package import NodeState
internal import StoreTransport
internal import Synchronization

/// How a node's lease is kept.
package struct LeaseSettings: Sendable {
  /// How long a lease outlives its node.
  package var ttl: Duration
  /// How long before its end a lease is renewed at the latest.
  package var renewMargin: Duration
  /// Where the node's subnets are written: `subnet.env`, and the copy that survives a reboot.
  package var files: PublishedLease
  /// Whether pods on this node live in a subnet.
  package var hasPods: @Sendable (IPPrefix) -> Bool

  package init(
    ttl: Duration, renewMargin: Duration, files: PublishedLease, hasPods: @escaping @Sendable (IPPrefix) -> Bool
  ) {
    self.ttl = ttl
    self.renewMargin = renewMargin
    self.files = files
    self.hasPods = hasPods
  }
}

/// Finds or claims this node's subnet in etcd and keeps it: it never writes over what somebody else has written, and
/// never ends because of what it finds.
package actor LeaseKeeper: NodeKeeper {
  let client: EtcdClient
  let view: EtcdView
  let settings: LeaseSettings
  let conditions: AgentConditions
  let logger: Logger
  private let ownAddresses: OwnAddresses
  private let wakeUps: AsyncStream<Void>
  nonisolated private let wakeUp: AsyncStream<Void>.Continuation
  nonisolated private let mayHaveMoved = Atomic(true)

  var held: HeldLease?
  /// Records that this node has besides, because pods still live in their subnets, and when their leases are renewed.
  var retiring: [String: HeldLease] = [:]
  /// Since when nobody has needed one of those, by the monotonic clock.
  var vacant: [String: Duration] = [:]
  /// Records that this node's agent wrote or held at some time, this one or an earlier one.
  var remembered: [RecordMark]
  /// Subnets that this process held and holds no more.
  var earlier: [IPPrefix] = []
  /// What was written last, where no answer told whether it was: the same is tried again, and is ours where it is there.
  var attempted: EtcdSubnetKey?
  /// Records of which it was told that they are left alone.
  var leftAlone: Set<String> = []
  let memory: LeaseMemory
  var looks = AddressLooks()
  package var addresses: [IPAddress] { looks.addresses }
  /// Why the lease lacks IPv6.
  var shortage: String?
  /// A lease that was granted and not used.
  var spare: (lease: EtcdClient.Lease, start: Duration)?
  /// What the view must show before it can be built on again, after we have written.
  var written: EtcdWriting?
  /// Subnets that others have got since the view's revision.
  var refused: (revision: Int64, subnets: Set<IPPrefix>) = (0, [])
  /// After a failure: when etcd may be written again, whatever else there is to do.
  private var notBefore = Duration.zero
  private var backOff = BackOff()
  private var failure: String?
  private var timer: Task<Void, any Error>?

  package init(
    _ client: EtcdClient, _ view: EtcdView, _ settings: LeaseSettings,
    ownAddresses: @escaping OwnAddresses, conditions: AgentConditions, logger: Logger
  ) {
    self.client = client
    self.view = view
    self.settings = settings
    self.ownAddresses = ownAddresses
    self.conditions = conditions
    self.logger = logger
    memory = LeaseMemory(settings.files.leasesInStore)
    remembered = memory.read()
    (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    view.listen { [wakeUp] in wakeUp.yield() }
  }

  /// This node's addresses may have changed.
  package nonisolated func look() {
    mayHaveMoved.store(true, ordering: .relaxed)
    wakeUp.yield()
  }

  /// Until the task is cancelled.
  package func run() async {
    wakeUp.yield()
    for await _ in wakeUps {
      if Task.isCancelled { return }
      do {
        if try await pass() {
          if failure != nil { logger.info("the lease can be kept again") }
          failure = nil
          backOff.reset()
        }
      } catch {
        if Task.isCancelled { return }
        tell("\(error)")
        notBefore = MonotonicTime.now + backOff.next()
      }
      if let held, held.hasExpired { publish() }
      setTimer()
    }
  }

  private func tell(_ reason: String) {
    if held == nil { goOnWithEarlier(reason) }
    guard failure != reason else { return }
    failure = reason
    logger.error("the lease can't be kept as it should: \(reason)")
  }

  /// How long nobody must have needed a subnet before it is given back: an ADD that read `subnet.env` before that named
  /// another one is over by then.
  static let vacancy = Duration.seconds(5)

  /// Wakes at the next thing to do.
  private func setTimer() {
    timer?.cancel()
    let now = MonotonicTime.now
    guard let next = nextWake(now) else { return }
    timer = Task { [wakeUp] in
      try await Task.sleep(for: next - now + .milliseconds(1))
      wakeUp.yield()
    }
  }

  /// When there is something to do that nothing else wakes for, 30 seconds from now at the latest where something waits
  /// for pods to go; by the monotonic clock.
  func nextWake(_ now: Duration) -> Duration? {
    var times = ([held].compactMap { $0 } + retiring.values).flatMap { [$0.renewal, $0.expiry] }.compactMap { $0 }
    times += vacant.values.map { $0 + LeaseKeeper.vacancy }
    times = times.filter { $0 > now } + (retiring.isEmpty ? [] : [now + .seconds(30)])
    // What has become due while the pass was going on.
    if let due = looks.postponed { times.append(max(due, now)) }
    if notBefore > .zero { times.append(max(notBefore, now)) }
    if let renewal = held?.renewal { times.append(max(renewal, now)) }
    return times.min()
  }

  /// Looks at what is, and does what must be done; false where that must wait.
  func pass() async throws -> Bool {
    looks.forgetPostponed()
    if notBefore <= MonotonicTime.now { notBefore = .zero }
    try await renew()
    let content = view.content
    switch content.usable {
    case .success(let (state, config)):
      if let written, content.isBefore(written) { return false }
      try await findAddresses(config)
      guard notBefore == .zero else { return false }
      if refused.revision != state.revision { refused = (state.revision, []) }
      try await settle(state, config)
      return true
    case .failure(let error):
      if held == nil { goOnWithEarlier("\(error)") }
      return false
    case nil: return false
    }
  }

  private func findAddresses(_ config: EtcdConfig) async throws {
    guard looks.begin(mayHaveMoved) else { return }
    let areFirst = addresses.isEmpty
    do {
      let netConf = config.netConf
      guard looks.take(try await ownAddresses([], netConf.families, netConf.networks, addresses)) else { return }
      if !areFirst { client.reconnect() }
      // What failed may have failed for want of them.
      notBefore = .zero
    } catch {
      // Who has known addresses keeps them; the kernel tells when there is something to find again.
      if addresses.isEmpty { throw error }
    }
  }

  /// Does one step after the other until the lease is as it must be, or the view must be waited for.
  private func settle(_ state: EtcdState, _ config: EtcdConfig) async throws {
    var generator = SystemRandomNumberGenerator()
    for attempt in 0..<32 {
      var ownership = ownership(state)
      if let held, !ownership.own.contains(where: { $0.name == held.name }) {
        lost("etcd no longer has \(held.key.text) as this node's")
        forget(held)
        ownership = self.ownership(state)
      }
      let plan = LeasePlan(ownership: ownership, network: config, refused: refused.subnets)
      switch plan.next(&generator) {
      case .hold(let record):
        if try await hold(record, plan) { try await tendOthers(record, plan) }
        return
      case .update(let record):
        try await update(record, plan)
        return
      case .replace(let record, let key):
        if try await replace(record, by: key, staysToo: false, plan) { return }
      case .add(let key, let record):
        if try await replace(record, by: key, staysToo: true, plan) { return }
      case .create(let key):
        if try await create(key, plan) { return }
      case .give(let record, let other):
        try await giveUp(record, to: other)
        return
      case .exhausted:
        try await exhausted(plan)
        return
      }
      // Somebody was faster; the watch tells soon who.
      try await Task.sleep(for: .milliseconds(Int.random(in: 5...40) * (1 + attempt / 4)))
    }
    throw LeaseContention()
  }

  /// Which of the records are this node's.
  func ownership(_ state: EtcdState) -> RecordOwnership {
    RecordOwnership(
      state.records, addresses: addresses, held: held?.mark,
      remembered: retiring.values.map(\.mark) + remembered, prior: (attempted?.subnets ?? []) + priorSubnets())
  }

  /// What the node had, the latest first.
  func priorSubnets() -> [IPPrefix] {
    (held?.subnets ?? []) + earlier + settings.files.leases.flatMap { $0.subnets.map(\.network) }
  }

  /// Holds it no more, but knows it again.
  func forget(_ lease: HeldLease) {
    remembered.removeAll { $0.name == lease.name }
    remembered.append(lease.mark)
    earlier = lease.subnets
    held = nil
  }
}

/// Others were faster again and again.
struct LeaseContention: Error, CustomStringConvertible {
  var description: String { "every subnet that was tried has just gone to another node" }
}
