package import Addresses
internal import Linux
package import Logging
package import Nodes
package import NodeState
internal import StoreTransport
internal import Synchronization

/// Settings of this node's lease in etcd.
package struct LeaseSettings: Sendable {
  /// Lifetime of a lease that is not renewed.
  package var ttl: Duration
  /// Least time between the renewal of a lease and its expiry.
  package var renewMargin: Duration
  /// Files with the node's subnets: `subnet.env`, and the copy that survives a reboot.
  package var files: PublishedLease
  /// Whether pods on this node have addresses of a subnet.
  package var hasPods: @Sendable (IPPrefix) -> Bool

  /// Makes the settings.
  package init(
    ttl: Duration, renewMargin: Duration, files: PublishedLease, hasPods: @escaping @Sendable (IPPrefix) -> Bool
  ) {
    self.ttl = ttl
    self.renewMargin = renewMargin
    self.files = files
    self.hasPods = hasPods
  }
}

/// Finds or claims this node's subnet in etcd and renews its lease. Never overwrites a record that another process has
/// changed meanwhile, and never stops because of what etcd holds.
package actor EtcdLeaseHolder: LeaseHolder {
  let client: EtcdClient
  let view: EtcdView
  let settings: LeaseSettings
  let conditions: AgentConditions
  let logger: Logger
  private let ownAddresses: OwnAddresses
  private let wakeUps: AsyncStream<Void>
  nonisolated private let wakeUp: AsyncStream<Void>.Continuation
  nonisolated private let mayHaveMoved = Atomic(true)

  var held: HeldRecord?
  /// Further records of this node by name: their subnets are still in use by pods, so their leases are renewed too.
  var retiring: [String: HeldRecord] = [:]
  /// Further records that nothing uses any more, and since when by the monotonic clock.
  var vacant: [String: Duration] = [:]
  /// Records that this process or an earlier one on this node wrote or held.
  var remembered: [RecordVersion]
  /// Subnets that this process held before the present ones.
  var earlier: [IPPrefix] = []
  /// Key of a claim whose answer was lost. The same key is claimed again, and a record with it is ours.
  var attempted: EtcdSubnetKey?
  /// Names of records for which the warning that they are left alone has been logged.
  var leftAlone: Set<String> = []
  /// File that remembers our records across a restart.
  let file: LeaseFile
  var addressSearches = AddressSearches()
  /// Addresses by which other nodes reach this one, at most one of each family.
  package var addresses: [IPAddress] { addressSearches.addresses }
  /// Reason why the lease lacks an IPv6 subnet; `nil` if it lacks none.
  var shortage: String?
  /// A granted lease that no record uses yet.
  var spare: EtcdClient.Grant?
  /// Our latest write. A view from before it is outdated.
  var written: EtcdWrite?
  /// Subnets that other nodes have claimed since this revision of the view.
  var refused: (revision: Int64, subnets: Set<IPPrefix>) = (0, [])
  /// Earliest time of the next write after a failure, by the monotonic clock; zero after a success.
  private var notBefore = Duration.zero
  private var backOff = BackOff()
  private var failure: String?
  private var timer: Task<Void, any Error>?

  /// Makes a holder that does nothing before `run`.
  ///
  /// - Parameters:
  ///   - view: what is known of etcd; a feed keeps it current.
  ///   - ownAddresses: finds this node's addresses.
  ///   - conditions: receives the state of the lease.
  package init(
    _ client: EtcdClient, _ view: EtcdView, settings: LeaseSettings,
    ownAddresses: @escaping OwnAddresses, conditions: AgentConditions, logger: Logger
  ) {
    self.client = client
    self.view = view
    self.settings = settings
    self.ownAddresses = ownAddresses
    self.conditions = conditions
    self.logger = logger
    file = LeaseFile(settings.files.leasesInStore)
    remembered = file.read()
    (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    view.listen { [wakeUp] in wakeUp.yield() }
  }

  /// Reports that this node's addresses may have changed.
  package nonisolated func linksChanged() {
    mayHaveMoved.store(true, ordering: .relaxed)
    wakeUp.yield()
  }

  /// Runs until the task is cancelled.
  package func run() async {
    wakeUp.yield()
    for await _ in wakeUps {
      if Task.isCancelled { return }
      do {
        if try await pass() {
          if failure != nil { logger.info("the lease can be maintained again") }
          failure = nil
          backOff.reset()
        }
      } catch {
        if Task.isCancelled { return }
        report("\(error)")
        notBefore = MonotonicTime.now + backOff.next()
      }
      if let held, held.hasExpired { publish() }
      setTimer()
    }
  }

  /// Logs why the lease could not be renewed, once for each reason.
  private func report(_ reason: String) {
    if held == nil { goOnWithEarlier(reason) }
    guard failure != reason else { return }
    failure = reason
    logger.error("the lease can't be maintained: \(reason)")
  }

  /// Time that a subnet must be unused before its record is removed. An ADD that read the subnet from an older
  /// `subnet.env` has ended by then.
  static let vacancy = Duration.seconds(5)

  /// Sets the timer to the next time at which a pass has something to do.
  private func setTimer() {
    timer?.cancel()
    let now = MonotonicTime.now
    guard let next = nextWake(now) else { return }
    timer = Task { [wakeUp] in
      try await Task.sleep(for: next - now + .milliseconds(1))
      wakeUp.yield()
    }
  }

  /// Time of the next pass by the monotonic clock; `nil` if only events can bring new work. While the subnets of
  /// further records are watched for their last pod, at most 30 seconds from now.
  func nextWake(_ now: Duration) -> Duration? {
    var times = ([held].compactMap { $0 } + retiring.values).flatMap { [$0.renewal, $0.expiry] }.compactMap { $0 }
    times += vacant.values.map { $0 + EtcdLeaseHolder.vacancy }
    times = times.filter { $0 > now } + (retiring.isEmpty ? [] : [now + .seconds(30)])
    // These may have become due during the pass.
    if let due = addressSearches.postponed { times.append(max(due, now)) }
    if notBefore > .zero { times.append(max(notBefore, now)) }
    if let renewal = held?.renewal { times.append(max(renewal, now)) }
    return times.min()
  }

  /// Renews the lease and brings the record to its desired state.
  ///
  /// - Returns: whether the pass was complete; false if it waits for the view or for the back-off.
  func pass() async throws -> Bool {
    addressSearches.forgetPostponed()
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
    guard addressSearches.begin(mayHaveMoved) else { return }
    let areFirst = addresses.isEmpty
    do {
      let netConf = config.netConf
      guard addressSearches.take(try await ownAddresses([], netConf.families, netConf.networks, addresses)) else {
        return
      }
      if !areFirst { client.reconnect() }
      // The failure may have been caused by the former addresses.
      notBefore = .zero
    } catch {
      // Known addresses stay in use; the next change of a link starts another search.
      if addresses.isEmpty { throw error }
    }
  }

  /// Performs steps of the plan until the record is as desired, or the next step needs a newer view.
  ///
  /// - Throws: `LeaseContention` if other nodes claim every subnet first.
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
        if try await hold(record, plan) { try await maintainOthers(record, plan) }
        return
      case .update(let record):
        try await update(record, plan)
        return
      case .replace(let record, let key):
        if try await replace(record, by: key, keepsOld: false, plan: plan) { return }
      case .add(let key, let record):
        if try await replace(record, by: key, keepsOld: true, plan: plan) { return }
      case .create(let key):
        if try await create(key, plan) { return }
      case .give(let record, let other):
        try await giveUp(record, to: other)
        return
      case .exhausted:
        try await exhausted(plan)
        return
      }
      // Another node was faster; the watch reports its record soon.
      try await Task.sleep(for: .milliseconds(Int.random(in: 5...40) * (1 + attempt / 4)))
    }
    throw LeaseContention()
  }

  /// Distinguishes this node's records from those of other nodes.
  func ownership(_ state: EtcdState) -> RecordOwnership {
    RecordOwnership(
      state.records, addresses: addresses, held: held?.version,
      remembered: retiring.values.map(\.version) + remembered, prior: (attempted?.subnets ?? []) + priorSubnets())
  }

  /// Subnets that this node has or had, the latest first.
  func priorSubnets() -> [IPPrefix] {
    (held?.subnets ?? []) + earlier + settings.files.leases.flatMap { $0.subnets.map(\.network) }
  }

  /// Gives up a record but remembers it as this node's.
  func forget(_ lease: HeldRecord) {
    remembered.removeAll { $0.name == lease.name }
    remembered.append(lease.version)
    earlier = lease.subnets
    held = nil
  }
}

/// Other nodes have claimed every subnet that this node tried.
struct LeaseContention: Error, CustomStringConvertible {
  var description: String { "other nodes have just claimed every subnet that was tried" }
}
