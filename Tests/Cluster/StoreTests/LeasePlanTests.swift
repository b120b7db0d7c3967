import Addresses
import Backends
@testable import EtcdStore
import JSON
import Linux
internal import Nodes
@testable import StoreTransport
import Testing
import TestSupport

@Suite struct LeasePlanTests {
  private func config(_ text: String) throws -> EtcdConfig {
    try EtcdConfig.read(
      EtcdKeyValue(["value": .string(Base64.encode(text))]), key: "/p/config", BackendList.reader
    ).get()
  }

  private func plan(
    _ records: [EtcdRecord], _ addresses: [String] = ["192.0.2.1"], prior: [String] = [],
    held: EtcdRecord? = nil, remembered: [EtcdRecord] = [], conf: String = #""SubnetMax": "10.244.4.0""#
  ) throws -> LeasePlan {
    LeasePlan(
      ownership: RecordOwnership(
        EtcdRecords(records), addresses: addresses.compactMap { IPAddress($0) }, held: held?.version,
        remembered: remembered.map(\.version), prior: prior.compactMap { IPPrefix($0) }),
      network: try config(#"{"Network": "10.244.0.0/16", \#(conf)}"#))
  }

  private func next(_ plan: LeasePlan) -> LeasePlan.Step {
    var generator = Seeded(state: 1)
    return plan.next(&generator)
  }

  private static let dual = #""EnableIPv6": true, "IPv6Network": "fd00:10:244::/48""#

  @Test func ownRecordIsFoundByItsAddress() throws {
    let mine = record("10.244.2.0-24", of: "192.0.2.1")
    #expect(next(try plan([record("10.244.1.0-24", of: "192.0.2.9"), mine])) == .hold(mine))
  }

  @Test func ownRecordWithOtherContentIsUpdated() throws {
    let vxlan = record("10.244.2.0-24", #"{"PublicIP":"192.0.2.1","BackendType":"vxlan"}"#)
    #expect(next(try plan([vxlan])) == .update(vxlan))
    // Our address has changed, but the lease shows that the record is ours.
    let old = record("10.244.2.0-24", of: "192.0.2.77", lease: 5)
    #expect(next(try plan([old], held: old)) == .update(old))
    // Another node has replaced the record, with another lease or the same one.
    for theirs in [
      record("10.244.2.0-24", of: "192.0.2.78", created: 2, lease: 6),
      record("10.244.2.0-24", of: "192.0.2.78", created: 2, lease: 5),
    ] {
      guard case .create(let key) = next(try plan([theirs], held: old)) else {
        Issue.record("no claim")
        return
      }
      #expect(key.text != "10.244.2.0-24")
    }
  }

  @Test func reservationMovedToAnotherNodeIsNotOurs() throws {
    let ours = record("10.244.2.0-24", of: "192.0.2.1", created: 3, lease: 0)
    let theirs = record("10.244.2.0-24", #"{"PublicIP":"192.0.2.9"}"#, created: 3, modified: 8, lease: 0)
    guard case .create(let key) = next(try plan([theirs], prior: ["10.244.2.0/24"], held: ours)) else {
      Issue.record("no claim")
      return
    }
    #expect(key.text != "10.244.2.0-24")
    // An unchanged record is ours although our address has changed meanwhile.
    #expect(next(try plan([ours], ["192.0.2.44"], held: ours)) == .update(ours))
    #expect(next(try plan([ours], ["192.0.2.44"])) != .update(ours))
  }

  @Test func nodesThatSwapTheirAddressesKeepTheirSubnets() throws {
    let ours = record("10.244.2.0-24", of: "192.0.2.1", lease: 5)
    let others = record("10.244.3.0-24", of: "192.0.2.2", lease: 6)
    // While the agent runs, and after a restart.
    for plan in [
      try plan([ours, others], ["192.0.2.2"], prior: ["10.244.2.0/24"], held: ours),
      try plan([ours, others], ["192.0.2.2"], prior: ["10.244.2.0/24"], remembered: [ours]),
    ] {
      #expect(next(plan) == .update(ours))
      #expect(plan.own == [ours] && plan.ownership.strangers == [others])
    }
    // We cannot recognise our record if the other node was faster; that node's old record does not become ours.
    let taken = record("10.244.2.0-24", of: "192.0.2.1", created: 9, lease: 8)
    let late = try plan([taken, others], ["192.0.2.2"], prior: ["10.244.2.0/24"])
    guard case .create = next(late) else {
      Issue.record("no claim")
      return
    }
    // A node that remembers nothing is recognised by its address alone.
    #expect(next(try plan([others], ["192.0.2.2"])) == .hold(others))
  }

  @Test func missingAddressStaysInTheRecord() throws {
    let both = record("10.244.2.0-24&fd00:10:244:2::-64", of: "192.0.2.1", ipv6: "2001:db8::1")
    let withoutIPv6 = try plan([both], conf: LeasePlanTests.dual)
    #expect(next(withoutIPv6) == .hold(both))
    #expect(withoutIPv6.addresses(publishedBy: both).map(\.description) == ["192.0.2.1", "2001:db8::1"])
    #expect(next(try plan([both], ["2001:db8::1"], conf: LeasePlanTests.dual)) == .hold(both))
    // Unless the network no longer has IPv6, or another node has the address now.
    #expect(next(try plan([both])) == .update(both))
    let other = record("10.244.3.0-24&fd00:10:244:3::-64", of: "192.0.2.9", ipv6: "2001:db8::1")
    #expect(next(try plan([both, other], prior: ["10.244.2.0/24"], conf: LeasePlanTests.dual)) == .update(both))
  }

  @Test func ipv4IsLeasedWithoutAFreeIPv6Subnet() throws {
    let conf = LeasePlanTests.dual + #", "IPv6SubnetMin": "fd00:10:244:1::", "IPv6SubnetMax": "fd00:10:244:1::""#
    let addresses = ["192.0.2.1", "2001:db8::1"]
    let full = record("10.244.9.0-24&fd00:10:244:1::-64", of: "192.0.2.9", ipv6: "2001:db8::9")
    let fresh = try plan([full], addresses, prior: ["10.244.3.0/24"], conf: conf)
    #expect(next(fresh) == .create(try key("10.244.3.0-24")))
    #expect(fresh.shortage(try key("10.244.3.0-24"), isReservation: false)?.contains("fd00:10:244:1::/64") == true)
    let mine = record("10.244.3.0-24", of: "192.0.2.1", ipv6: "2001:db8::1")
    #expect(next(try plan([full, mine], addresses, conf: conf)) == .hold(mine))
    // The IPv6 subnet follows as soon as one is free.
    let freed = try plan([mine], addresses, conf: conf)
    #expect(next(freed) == .replace(mine, by: try key("10.244.3.0-24&fd00:10:244:1::-64")))
    #expect(fresh.shortage(try key("10.244.3.0-24&fd00:10:244:1::-64"), isReservation: false) == nil)
  }

  @Test func changedIPv6RangeAddsASecondRecord() throws {
    let addresses = ["192.0.2.1", "2001:db8::1"]
    let old = record("10.244.3.0-24&fd99::-64", of: "192.0.2.1", ipv6: "2001:db8::1", created: 1)
    let new = record("10.244.3.0-24&fd00:10:244:3::-64", of: "192.0.2.1", ipv6: "2001:db8::1", created: 2)
    #expect(
      next(try plan([old], addresses, held: old, conf: LeasePlanTests.dual))
        == .add(try key(new.name), beside: old))
    // The complete record is the one to hold, also after a restart of the agent.
    for plan in [
      try plan([old, new], addresses, held: old, remembered: [new], conf: LeasePlanTests.dual),
      try plan([old, new], addresses, prior: ["10.244.3.0/24"], conf: LeasePlanTests.dual),
    ] {
      #expect(next(plan) == .hold(new) && plan.own == [new, old])
    }
  }

  @Test func formerSubnetsArePreferred() throws {
    #expect(next(try plan([], prior: ["10.244.3.0/24", "10.244.2.0/24"])) == .create(try key("10.244.3.0-24")))
    let taken = record("10.244.3.0-24", of: "192.0.2.9")
    #expect(next(try plan([taken], prior: ["10.244.3.0/24", "10.244.2.0/24"])) == .create(try key("10.244.2.0-24")))
    // A former subnet outside the range is not claimed.
    guard case .create(let other) = next(try plan([], prior: ["10.244.9.0/24"])) else { return }
    #expect(other.text != "10.244.9.0-24")
  }

  @Test func lastFreeSubnetIsClaimedThenRangeIsExhausted() throws {
    let others = (1...3).map { record("10.244.\($0).0-24", of: "192.0.2.\(100 + $0)") }
    #expect(next(try plan(others)) == .create(try key("10.244.4.0-24")))
    #expect(next(try plan(others + [record("10.244.4.0-24", of: "192.0.2.9")])) == .exhausted)
    var refused = try plan(others)
    refused.refused = [try #require(IPPrefix("10.244.4.0/24"))]
    #expect(next(refused) == .exhausted)
  }

  @Test func overlappedSubnetsAreTaken() throws {
    // A wider record, a record of another backend, and a record with a bad value.
    let others = [
      record("10.244.0.0-23", of: "192.0.2.9"), record("10.244.2.128-25", #"{"BackendType":"vxlan"}"#),
      record("10.244.3.0-24", "bad"),
    ]
    #expect(next(try plan(others)) == .create(try key("10.244.4.0-24")))
  }

  @Test func invalidKeyTakesNoSubnet() throws {
    let bad = record("10.244.0.1-16&fd00:10:244::1-48", of: "192.0.2.9", ipv6: "2001:db8::9", created: 1)
    #expect(bad.key?.problem != nil)
    let others = (1...3).map { record("10.244.\($0).0-24", of: "192.0.2.\(100 + $0)") }
    #expect(next(try plan(others + [bad])) == .create(try key("10.244.4.0-24")))
    // The invalid key does not displace a record either.
    let mine = record("10.244.2.0-24&fd00:10:244:2::-64", of: "192.0.2.1", ipv6: "2001:db8::1", created: 8)
    let held = try plan([bad, mine], ["192.0.2.1", "2001:db8::1"], held: mine, conf: LeasePlanTests.dual)
    #expect(next(held) == .hold(mine))
    for subnet in try #require(mine.key).subnets { #expect(held.ownership.holder(of: subnet) == nil) }
  }

  @Test func choicesSpreadOverAllFreeSubnets() throws {
    var generator = Seeded(state: 9)
    let plan = try plan([record("10.244.7.0-24", of: "192.0.2.9")], conf: #""SubnetLen": 24"#)
    var seen: [String: Int] = [:]
    for _ in 0..<20_000 {
      guard case .create(let key) = plan.next(&generator) else { continue }
      seen[key.text, default: 0] += 1
    }
    #expect(seen.count == 254 && seen["10.244.7.0-24"] == nil)
    // 20,000 over 254: about 79 each.
    #expect(seen.values.allSatisfy { (30...150).contains($0) }, "\(seen.values.sorted())")
  }

  @Test func ownReservationOutsideTheRangeIsKept() throws {
    let reservation = record("10.244.128.0-20", of: "192.0.2.1", lease: 0)
    #expect(next(try plan([reservation])) == .hold(reservation))
    // A reservation of another node cannot be claimed.
    let other = record("10.244.1.0-24", #"{"PublicIP":"192.0.2.50"}"#, lease: 0)
    let rest = (2...4).map { record("10.244.\($0).0-24", of: "192.0.2.\(100 + $0)") }
    #expect(next(try plan([other] + rest)) == .exhausted)
  }

  @Test func recordOutsideTheConfiguredRangeIsNotHeld() throws {
    let old = record("10.244.200.0-24", of: "192.0.2.1")
    let plan = try plan([old])
    guard case .create = next(plan) else {
      Issue.record("no claim")
      return
    }
    #expect(plan.own == [old])
  }

  @Test func laterOfTwoOverlappingRecordsIsGivenUp() throws {
    let mine = record("10.244.2.0-24&fd00:10:244:2::-64", of: "192.0.2.1", ipv6: "2001:db8::1", created: 8)
    let other = record("10.244.3.0-24&fd00:10:244:2::-64", of: "192.0.2.9", created: 7)
    let addresses = ["192.0.2.1", "2001:db8::1"]
    let wide = record("10.244.0.0-22", of: "192.0.2.8", created: 7)
    #expect(next(try plan([mine, wide], addresses, conf: LeasePlanTests.dual)) == .give(up: mine, to: wide))
    // An overlap in IPv6 only does not affect IPv4.
    guard case .replace(mine, by: let key) = next(try plan([mine, other], addresses, conf: LeasePlanTests.dual)) else {
      Issue.record("no other IPv6 subnet")
      return
    }
    #expect(key.subnet == IPPrefix("10.244.2.0/24") && key.ipv6Subnet != mine.key?.ipv6Subnet)
    let later = record("10.244.3.0-24&fd00:10:244:2::-64", of: "192.0.2.9", created: 9)
    #expect(next(try plan([mine, later], addresses, conf: LeasePlanTests.dual)) == .hold(mine))
  }

  @Test func dualStackNodeGetsSubnetsOfBothFamilies() throws {
    let both = ["192.0.2.1", "2001:db8::1"]
    let prior = ["10.244.3.0/24", "fd00:10:244:33::/64"]
    #expect(
      next(try plan([], both, prior: prior, conf: LeasePlanTests.dual))
        == .create(try key("10.244.3.0-24&fd00:10:244:33::-64")))
    // Without former subnets, both subnets have the same position in their ranges.
    guard case .create(let fresh) = next(try plan([], both, conf: LeasePlanTests.dual)) else { return }
    let ranges = try plan([], both, conf: LeasePlanTests.dual).network.allocation
    #expect(ranges.ipv4.position(fresh.subnet) == fresh.ipv6Subnet.flatMap { ranges.ipv6?.position($0) })
    // A node with one family keeps one subnet.
    guard case .create(let single) = next(try plan([], conf: LeasePlanTests.dual)) else { return }
    #expect(single.ipv6Subnet == nil)
    // A record of one family gets the other family as soon as the node has it.
    let old = record("10.244.3.0-24", of: "192.0.2.1")
    #expect(
      next(try plan([old], both, conf: LeasePlanTests.dual))
        == .replace(old, by: try key("10.244.3.0-24&fd00:10:244:3::-64")))
  }

  @Test func nodeWithIPv6OnlyIsFoundByItsIPv6Address() throws {
    let mine = record("10.244.3.0-24&fd00:10:244:3::-64", of: "0.0.0.0", ipv6: "2001:db8::1")
    #expect(next(try plan([mine], ["2001:db8::1"], conf: LeasePlanTests.dual)) == .hold(mine))
  }

  @Test func freeSubnetsOfALargeRange() throws {
    let range = try #require(
      try config(#"{"Network":"10.0.0.0/8","EnableIPv6":true,"IPv6Network":"fd00::/8"}"#).allocation.ipv6)
    let free = FreeSubnets(range, taken: ["fd00:0:0:1::/64", "fd00::/16"].compactMap { IPPrefix($0) })
    #expect(free.count == range.count - ((1 << 48) - 1))
    #expect(free[0] == IPPrefix("fd01::/64") && free[free.count - 1] == range.last && free[free.count] == nil)
    var generator = Seeded(state: 2)
    for _ in 0..<100 { #expect(free.contains(try #require(free.random(&generator)))) }
  }

  @Test func freeSubnetsOfARangeLargerThanIntMax() throws {
    let conf = #"{"Network":"10.0.0.0/8","EnableIPv6":true,"IPv6Network":"fd00:1::/48","IPv6SubnetLen":112}"#
    let range = try #require(try config(conf).allocation.ipv6)
    #expect(range.count == .max)
    func free(_ taken: String...) -> FreeSubnets { FreeSubnets(range, taken: taken.compactMap { IPPrefix($0) }) }
    var generator = Seeded(state: 4)
    // The whole range, as far as it can be counted, and half of it.
    for wide in [free("fd00:1::/48"), free("fd00:1::/49")] {
      #expect(wide.count == 0 && wide.random(&generator) == nil && wide[.max] == nil)
    }
    let half = free("fd00:1::/50", "fd00:1:0:ffff:ffff:ffff:ffff:0/112")
    #expect(half.count == range.count / 2)
    for _ in 0..<100 { #expect(half.contains(try #require(half.random(&generator)))) }
    #expect(half[.max] == nil)
  }

  private func key(_ text: String) throws -> EtcdSubnetKey { try #require(EtcdSubnetKey(parsing: text)) }
}

@Suite struct LeaseFileTests {
  @Test func leaseFileOmitsReservations() throws {
    let directory = try TemporaryDirectory()
    let file = LeaseFile(directory.file("leases"))
    #expect(file.read().isEmpty)
    let versions = [
      RecordVersion(name: "10.244.3.0-24&fd00:10:244:3::-64", leaseID: 7_587_862_094, modRevision: 12),
      RecordVersion(name: "10.244.4.0-24", leaseID: -3, modRevision: 13),
    ]
    try file.write(versions + [RecordVersion(name: "10.244.5.0-24", leaseID: 0, modRevision: 14)])
    #expect(file.read() == versions)
    try Files.replace(directory.file("leases"), with: Array("x\n10.244.3.0-24 one 2\n\n10.244.3.0-24 1 2 3\n".utf8))
    #expect(file.read().isEmpty)
  }
}
