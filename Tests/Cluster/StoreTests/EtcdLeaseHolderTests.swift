import Addresses
@testable import EtcdStore
import Linux
import Logging
@testable import Nodes
import NodeState
import Testing
import TestSupport

/// Behaviour of the lease holder without an etcd.
@Suite struct EtcdLeaseHolderTests {
  private let directory: TemporaryDirectory
  private let view = EtcdView()
  private let conditions = AgentConditions()
  private let holder: EtcdLeaseHolder

  init() throws {
    let directory = try TemporaryDirectory()
    self.directory = directory
    let files = PublishedLease(
      subnetFile: directory.file("subnet.env"), leaseCopy: directory.file("copy"),
      stateDirectory: directory.file("state"))
    holder = EtcdLeaseHolder(
      EtcdClient(EtcdAccess(endpoints: ["http://127.0.0.1:1"], prefix: "/p")), view,
      settings: LeaseSettings(ttl: .seconds(60), renewMargin: .seconds(10), files: files) { _ in false },
      ownAddresses: { _, _, _, present in present }, conditions: conditions, logger: Logger(label: "test"))
  }

  private func lease(_ name: String, ttl: Duration, since start: Duration = MonotonicTime.now) throws -> HeldRecord {
    HeldRecord(
      try #require(EtcdSubnetKey(parsing: name)), RecordVersion(name: name, leaseID: 5, modRevision: 9),
      addresses: [try #require(IPAddress("192.0.2.1"))], ttl: ttl, start: start, margin: .seconds(10))
  }

  /// Work that waits for the store must not wake the holder again and again.
  @Test func holderDoesNotWakeWhileTheStoreIsDown() async throws {
    try await holder.has(addresses: [#require(IPAddress("192.0.2.1"))])
    view.update { $0.failure = .unreachable(["down"]) }
    holder.linksChanged()
    #expect(try await !holder.pass())
    #expect(await holder.nextWake(MonotonicTime.now) == nil)
  }

  @Test func revokedOrExpiredLeaseIsLost() async throws {
    await holder.holds(try lease("10.244.2.0-24", ttl: .seconds(60)))
    await holder.publish()
    #expect(conditions.lease.state == .held)
    var revoked = try lease("10.244.2.0-24", ttl: .seconds(60))
    revoked.revoked()
    #expect(revoked.isRevoked && !revoked.isDue && !revoked.hasExpired)
    let old = try lease("10.244.2.0-24", ttl: .seconds(60), since: MonotonicTime.now - .seconds(61))
    for (lease, words) in [(revoked, "dropped"), (old, "run out")] {
      await holder.holds(lease)
      await holder.publish()
      guard case .lost(let reason) = conditions.lease.state else {
        Issue.record("\(conditions.lease.state)")
        continue
      }
      #expect(reason.contains(words))
      // Pods keep their addresses.
      #expect(conditions.lease.subnets == lease.subnets && view.content.own?.subnets.v4 == lease.key.subnet)
    }
  }

  /// A renewal that became due during the last pass is not forgotten.
  @Test func dueRenewalWakesAtOnce() async throws {
    let now = MonotonicTime.now
    await holder.holds(try lease("10.244.2.0-24", ttl: .seconds(60), since: now - .seconds(30)))
    #expect(await holder.nextWake(now) == now)
  }
}

extension EtcdLeaseHolder {
  fileprivate func has(addresses: [IPAddress]) { addressSearches.addresses = addresses }
  fileprivate func holds(_ lease: HeldRecord) { held = lease }
}
