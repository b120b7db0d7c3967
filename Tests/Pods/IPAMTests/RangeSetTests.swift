import Addresses
import IPAM
import Testing

@Suite struct RangeSetTests {
  @Test func containsTheAddressesOfAllItsRanges() throws {
    let set = try rangeSet("192.168.0.0/24", "172.16.1.0/24")
    #expect(set.family == .v4)
    #expect(set.description == "192.168.0.1-192.168.0.254,172.16.1.1-172.16.1.254")
    for text in ["192.168.0.55", "172.16.1.50"] { #expect(set.contains(try address(text))) }
    for text in ["192.168.99.99", "192.168.0.0", "fd00::1"] { #expect(!set.contains(try address(text))) }
  }

  @Test(arguments: [
    ([], "empty range set"),
    (["192.168.0.0/24", "fd00::/64"], "mixed address families"),
    (["192.168.0.0/20", "192.168.2.0/24"], "subnets 192.168.0.1-192.168.15.254 and 192.168.2.1-192.168.2.254 overlap"),
    (["10.0.0.0/24", "10.1.0.0/24", "10.0.0.0/25"], "subnets 10.0.0.1-10.0.0.254 and 10.0.0.1-10.0.0.126 overlap"),
  ])
  func invalidSetsAreRefusedWithTheReason(_ ranges: [String], _ expected: String) throws {
    let error = try #require(errorText { _ = try RangeSet(try ranges.map { try range($0) }) })
    #expect(error.hasPrefix(expected), "\(error)")
  }

  @Test func setsOverlapIfARangeDoes() throws {
    let first = try rangeSet("192.168.0.0/20")
    #expect(try first.overlaps(rangeSet("10.0.0.0/8", "192.168.2.0/24")))
    #expect(try rangeSet("10.0.0.0/8", "192.168.2.0/24").overlaps(first))
    #expect(try !first.overlaps(rangeSet("10.0.0.0/8")))
    #expect(try !first.overlaps(rangeSet("2001:db8::/64")))
  }
}
