import Addresses
import JSON
import Lease
import Testing

@testable import NodeStores

@Suite struct LeasePlanTests {
  private func config(_ text: String) throws -> EtcdConfig {
    try EtcdConfig.read(
      EtcdKeyValue(["value": .string(Base64.encode(text))]), key: "/p/config"
    ).get()
  }

  private func plan(
    _ records: [EtcdRecord], _ addresses: [String] = ["192.0.2.1"], prior: [String] = [],
    held: (String, Int64)? = nil, conf: String = #""SubnetMax": "10.244.4.0""#
  ) throws -> LeasePlan {
    LeasePlan(
      records: EtcdRecords(records), network: try config(#"{"Network": "10.244.0.0/16", \#(conf)}"#),
      addresses: addresses.compactMap { IPAddress($0) }, held: held.map { (name: $0.0, leaseID: $0.1) },
      prior: prior.compactMap { IPPrefix($0) })
  }

  private func next(_ plan: LeasePlan) -> LeasePlan.Step {
    var generator = Seeded(state: 1)
    return plan.next(&generator)
  }

  private static let dual = #""EnableIPv6": true, "IPv6Network": "fd00:10:244::/48""#

  @Test func ourRecordIsFoundByOurAddress() throws {
    let mine = record("10.244.2.0-24", of: "192.0.2.1")
    #expect(next(try plan([record("10.244.1.0-24", of: "192.0.2.9"), mine])) == .hold(mine))
  }

  @Test func aRecordOfOursThatSaysOtherwiseIsUpdated() throws {
    let vxlan = record("10.244.2.0-24", #"{"PublicIP":"192.0.2.1","BackendType":"vxlan"}"#)
    #expect(next(try plan([vxlan])) == .update(vxlan))
    // Our address has changed, the lease tells that it is ours.
    let old = record("10.244.2.0-24", of: "192.0.2.77", lease: 5)
    #expect(next(try plan([old], held: ("10.244.2.0-24", 5))) == .update(old))
    // Somebody has put his own in its place.
    let theirs = record("10.244.2.0-24", of: "192.0.2.77", lease: 6)
    guard case .create(let key) = next(try plan([theirs], held: ("10.244.2.0-24", 5))) else {
      Issue.record("no claim")
      return
    }
    #expect(key.text != "10.244.2.0-24")
  }

  @Test func whatTheNodeHadComesFirst() throws {
    #expect(next(try plan([], prior: ["10.244.3.0/24", "10.244.2.0/24"])) == .create(try key("10.244.3.0-24")))
    let taken = record("10.244.3.0-24", of: "192.0.2.9")
    #expect(next(try plan([taken], prior: ["10.244.3.0/24", "10.244.2.0/24"])) == .create(try key("10.244.2.0-24")))
    // One that may not be claimed any more counts for nothing.
    guard case .create(let other) = next(try plan([], prior: ["10.244.9.0/24"])) else { return }
    #expect(other.text != "10.244.9.0-24")
  }

  @Test func onlyTheLastFreeOneIsLeft() throws {
    let others = (1...3).map { record("10.244.\($0).0-24", of: "192.0.2.\(100 + $0)") }
    #expect(next(try plan(others)) == .create(try key("10.244.4.0-24")))
    #expect(next(try plan(others + [record("10.244.4.0-24", of: "192.0.2.9")])) == .exhausted(.v4))
    var refused = try plan(others)
    refused.refused = [try #require(IPPrefix("10.244.4.0/24"))]
    #expect(next(refused) == .exhausted(.v4))
  }

  @Test func whateverOverlapsIsTaken() throws {
    // A wider one, one of another backend, one whose value is bad.
    let others = [
      record("10.244.0.0-23", of: "192.0.2.9"), record("10.244.2.128-25", #"{"BackendType":"vxlan"}"#),
      record("10.244.3.0-24", "bad"),
    ]
    #expect(next(try plan(others)) == .create(try key("10.244.4.0-24")))
  }

  @Test func choicesSpreadOverAllThatIsFree() throws {
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

  @Test func aReservationOfOursMayLieAnywhereAndStays() throws {
    let reservation = record("10.244.128.0-20", of: "192.0.2.1", lease: 0)
    #expect(next(try plan([reservation])) == .hold(reservation))
    // Somebody else's is nobody's to claim.
    let other = record("10.244.1.0-24", #"{"PublicIP":"192.0.2.50"}"#, lease: 0)
    let rest = (2...4).map { record("10.244.\($0).0-24", of: "192.0.2.\(100 + $0)") }
    #expect(next(try plan([other] + rest)) == .exhausted(.v4))
  }

  @Test func aRecordThatTheConfigurationNoLongerAllowsIsLeft() throws {
    let old = record("10.244.200.0-24", of: "192.0.2.1")
    let plan = try plan([old])
    guard case .create = next(plan) else {
      Issue.record("no claim")
      return
    }
    #expect(plan.own == [old])
  }

  @Test func theLaterOfTwoStepsBack() throws {
    let mine = record("10.244.2.0-24&fd00:10:244:2::-64", of: "192.0.2.1", ipv6: "2001:db8::1", created: 8)
    let other = record("10.244.3.0-24&fd00:10:244:2::-64", of: "192.0.2.9", created: 7)
    let addresses = ["192.0.2.1", "2001:db8::1"]
    #expect(next(try plan([mine, other], addresses, conf: LeasePlanTests.dual)) == .give(up: mine, to: other))
    let later = record("10.244.3.0-24&fd00:10:244:2::-64", of: "192.0.2.9", created: 9)
    #expect(next(try plan([mine, later], addresses, conf: LeasePlanTests.dual)) == .hold(mine))
  }

  @Test func bothFamiliesWhereTheNodeHasBoth() throws {
    let both = ["192.0.2.1", "2001:db8::1"]
    let prior = ["10.244.3.0/24", "fd00:10:244:33::/64"]
    #expect(
      next(try plan([], both, prior: prior, conf: LeasePlanTests.dual))
        == .create(try key("10.244.3.0-24&fd00:10:244:33::-64")))
    // Without a memory both parts lie at the same place.
    guard case .create(let fresh) = next(try plan([], both, conf: LeasePlanTests.dual)) else { return }
    let ranges = try plan([], both, conf: LeasePlanTests.dual).network.allocation
    #expect(ranges.ipv4.position(fresh.subnet) == fresh.ipv6Subnet.flatMap { ranges.ipv6?.position($0) })
    // A node with one family keeps that one.
    guard case .create(let single) = next(try plan([], conf: LeasePlanTests.dual)) else { return }
    #expect(single.ipv6Subnet == nil)
    // A record of one family gets the other when the node has it.
    let old = record("10.244.3.0-24", of: "192.0.2.1")
    #expect(
      next(try plan([old], both, conf: LeasePlanTests.dual))
        == .replace(old, by: try key("10.244.3.0-24&fd00:10:244:3::-64")))
  }

  @Test func aNodeWithIPv6OnlyIsKnownByThat() throws {
    let mine = record("10.244.3.0-24&fd00:10:244:3::-64", of: "0.0.0.0", ipv6: "2001:db8::1")
    #expect(next(try plan([mine], ["2001:db8::1"], conf: LeasePlanTests.dual)) == .hold(mine))
  }

  @Test func theFreeOnesOfAHugeRange() throws {
    let range = try #require(
      try config(#"{"Network":"10.0.0.0/8","EnableIPv6":true,"IPv6Network":"fd00::/8"}"#).allocation.ipv6)
    let free = FreeSubnets(range, taken: ["fd00:0:0:1::/64", "fd00::/16"].compactMap { IPPrefix($0) })
    #expect(free.count == range.count - ((1 << 48) - 1))
    #expect(free[0] == IPPrefix("fd01::/64") && free[free.count - 1] == range.last && free[free.count] == nil)
    var generator = Seeded(state: 2)
    for _ in 0..<100 { #expect(free.contains(try #require(free.random(&generator)))) }
  }

  private func key(_ text: String) throws -> EtcdSubnetKey { try #require(EtcdSubnetKey(parsing: text)) }
}
