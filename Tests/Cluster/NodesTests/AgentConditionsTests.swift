import Addresses
import Nodes
import Testing

@Suite struct AgentConditionsTests {
  @Test func storeConditionHasItsStartAndTheLastFailure() {
    let conditions = AgentConditions()
    #expect(!conditions.store.isConnected && conditions.store.lastFailure == nil)
    conditions.storeIsRead(endpoint: "http://a", revision: 7)
    let since = conditions.store.since
    conditions.storeIsRead(endpoint: "http://b", revision: 8)
    #expect(conditions.store.isConnected && conditions.store.endpoint == "http://b" && conditions.store.revision == 8)
    #expect(conditions.store.since == since)
    conditions.storeFailed("gone")
    conditions.storeIsRead(endpoint: "http://b", revision: 9)
    #expect(conditions.store.lastFailure == "gone" && conditions.store.since > since)
  }

  @Test func leaseReportsWhetherItChanged() throws {
    let conditions = AgentConditions()
    let subnets = [try #require(IPPrefix("10.244.1.0/24"))]
    #expect(conditions.leaseIs(.held, subnets: subnets, expiry: .seconds(5)))
    let since = conditions.lease.since
    // A renewal is not a change.
    #expect(!conditions.leaseIs(.held, subnets: subnets, expiry: .seconds(9)))
    #expect(conditions.lease.expiry == .seconds(9) && conditions.lease.since == since)
    #expect(conditions.leaseIs(.lost("one"), subnets: subnets, expiry: nil))
    #expect(conditions.leaseIs(.lost("two"), subnets: subnets, expiry: nil))
    #expect(conditions.lease.subnets == subnets && conditions.lease.state == .lost("two"))
  }
}
