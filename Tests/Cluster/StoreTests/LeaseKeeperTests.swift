import Addresses
@testable import EtcdStore
import Linux
import Logging
@testable import Nodes
import NodeState
import Testing
import TestSupport

/// What the keeper does without an etcd.
@Suite struct LeaseKeeperTests {
  private let directory: TemporaryDirectory
  private let view = EtcdView()
  private let conditions = AgentConditions()
  private let keeper: LeaseKeeper

  init() throws {
    let directory = try TemporaryDirectory()
    self.directory = directory
    let files = PublishedLease(
      subnetFile: directory.file("subnet.env"), leaseCopy: directory.file("copy"),
      stateDirectory: directory.file("state"))
    keeper = LeaseKeeper(
      EtcdClient(EtcdAccess(endpoints: ["http://127.0.0.1:1"], prefix: "/p")), view,
      LeaseSettings(ttl: .seconds(60), renewMargin: .seconds(10), files: files) { _ in false },
      ownAddresses: { _, _, _, present in present }, conditions: conditions, logger: Logger(label: "test"))
  }

  private func lease(_ name: String, ttl: Duration, since start: Duration = MonotonicTime.now) throws -> HeldLease {
    HeldLease(
      try #require(EtcdSubnetKey(parsing: name)), RecordMark(name: name, leaseID: 5, modRevision: 9),
      telling: [try #require(IPAddress("192.0.2.1"))], ttl: ttl, start: start, margin: .seconds(10))
  }

  /// What can't be done while the store is down must not make the keeper wake for it again and again.
  @Test func nothingWakesWhileTheStoreIsDown() async throws {
    try await keeper.has(addresses: [#require(IPAddress("192.0.2.1"))])
    view.update { $0.failure = .unreachable(["down"]) }
    keeper.look()
    #expect(try await !keeper.pass())
    #expect(await keeper.nextWake(MonotonicTime.now) == nil)
  }

  @Test func aLeaseThatEtcdHasDroppedOrThatHasRunOutIsLost() async throws {
    await keeper.holds(try lease("10.244.2.0-24", ttl: .seconds(60)))
    await keeper.publish()
    #expect(conditions.lease.state == .held)
    var gone = try lease("10.244.2.0-24", ttl: .seconds(60))
    gone.gone()
    #expect(gone.isGone && !gone.isDue && !gone.hasExpired)
    let old = try lease("10.244.2.0-24", ttl: .seconds(60), since: MonotonicTime.now - .seconds(61))
    for (lease, words) in [(gone, "dropped"), (old, "run out")] {
      await keeper.holds(lease)
      await keeper.publish()
      guard case .lost(let reason) = conditions.lease.state else {
        Issue.record("\(conditions.lease.state)")
        continue
      }
      #expect(reason.contains(words))
      // Its pods stay in it.
      #expect(conditions.lease.subnets == lease.subnets && view.content.own?.subnets.v4 == lease.key.subnet)
    }
  }

  /// What became due while the last pass was going on is not forgotten.
  @Test func aRenewalThatIsDueWakesAtOnce() async throws {
    let now = MonotonicTime.now
    await keeper.holds(try lease("10.244.2.0-24", ttl: .seconds(60), since: now - .seconds(30)))
    #expect(await keeper.nextWake(now) == now)
  }
}

extension LeaseKeeper {
  fileprivate func has(addresses: [IPAddress]) { looks.addresses = addresses }
  fileprivate func holds(_ lease: HeldLease) { held = lease }
}
