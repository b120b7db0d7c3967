import Addresses
import IPAM
import Testing

@Suite struct RequestTests {
  private let fixture: LeaseFixture

  init() throws { fixture = try LeaseFixture() }

  private func allocate(
    _ requested: [String], from sets: [RangeSet], _ id: String = "dummy"
  ) throws -> [String] {
    texts(try fixture.network().allocate(owner(id), from: sets, requested: try requested.map { try address($0) }))
  }

  @Test func aRequestedAddressIsLeased() throws {
    #expect(try allocate(["10.1.2.88"], from: [rangeSet("10.1.2.0/24")]) == ["10.1.2.88"])
    #expect(try fixture.content("last_reserved_ip.0") == "10.1.2.88")
    #expect(try fixture.leases() == ["10.1.2.88": "dummy\r\neth0"])
  }

  @Test(arguments: [["10.1.2.88", "10.1.3.77"], ["10.1.3.77", "10.1.2.88"], ["10.1.3.77", "10.1.2.88", "10.1.2.88"]])
  func eachSetLeasesItsRequestedAddress(_ requested: [String]) throws {
    let sets = [try rangeSet("10.1.2.0/24"), try rangeSet("10.1.3.0/24")]
    #expect(try allocate(requested, from: sets) == ["10.1.2.88", "10.1.3.77"])
  }

  @Test func addressesOfBothFamiliesAreRequested() throws {
    let sets = [try rangeSet("10.1.2.0/24"), try rangeSet("2001:db8:1::/64")]
    #expect(try allocate(["2001:DB8:1:0::999", "10.1.2.88"], from: sets) == ["10.1.2.88", "2001:db8:1::999"])
  }

  @Test func aSetWithoutRequestLeasesItsNextAddress() throws {
    let sets = [try rangeSet("10.1.2.0/24"), try rangeSet("10.1.3.0/24")]
    #expect(try allocate(["10.1.3.77"], from: sets) == ["10.1.2.2", "10.1.3.77"])
  }

  struct Refused: Sendable {
    let requested: [String]
    let text: String
  }

  @Test(arguments: [
    Refused(
      requested: ["10.0.0.1"], text: "failed to allocate for range 0: requested ip 10.0.0.1 is subnet's gateway"),
    Refused(
      requested: ["10.0.0.5"],
      text: "failed to allocate for range 0: requested IP address 10.0.0.5 is not available in range set "
        + "10.0.0.1-10.0.0.6"),
    Refused(requested: ["10.0.0.7"], text: "failed to allocate all requested IPs: 10.0.0.7"),
    Refused(requested: ["10.0.0.0"], text: "failed to allocate all requested IPs: 10.0.0.0"),
    Refused(
      requested: ["10.0.0.2", "10.0.0.3", "fd00::1"], text: "failed to allocate all requested IPs: 10.0.0.3 fd00::1"),
    // The second set's refusal undoes the first set's lease.
    Refused(
      requested: ["10.0.0.2", "10.0.1.1"],
      text: "failed to allocate for range 1: requested ip 10.0.1.1 is subnet's gateway"),
    Refused(
      requested: ["10.0.1.5"],
      text: "failed to allocate for range 1: requested IP address 10.0.1.5 is not available in range set "
        + "10.0.1.1-10.0.1.6"),
  ])
  func aRefusedRequestLeavesNoLease(_ refused: Refused) throws {
    try fixture.write("10.0.0.5", "other\r\neth0")
    try fixture.write("10.0.1.5", "other\r\neth0")
    let before = try fixture.leases()
    let sets = [try rangeSet("10.0.0.0/29"), try rangeSet("10.0.1.0/29")]
    let error = try #require(errorText { _ = try allocate(refused.requested, from: sets) })
    #expect(error.hasPrefix(refused.text), "\(error)")
    #expect(try fixture.leases() == before)
    #expect(try fixture.network().find(owner("dummy")).isEmpty)
    #expect(try allocate(["10.0.0.2"], from: sets).first == "10.0.0.2")
  }

  @Test func anExhaustedSetUndoesTheOtherSetsLeases() throws {
    let sets = [try rangeSet("10.0.0.0/29"), try rangeSet("10.0.1.0/30")]
    try fixture.write("10.0.1.2", "other\r\neth0")
    #expect(throws: IPAMError.exhausted(rangeSet: 1, ranges: sets[1])) { _ = try allocate([], from: sets) }
    #expect(try fixture.leases() == ["10.0.1.2": "other\r\neth0"])
    // The index does not contain it either.
    #expect(try allocate([], from: [sets[0]]) == ["10.0.0.3"])
    #expect(texts(try fixture.network().release(owner("dummy"))) == ["10.0.0.3"])
  }

  /// host-local does not check for duplicates if an address is requested.
  @Test func aSecondAddressOfASetIsLeasedOnRequest() throws {
    let sets = [try rangeSet("10.0.0.0/29")]
    #expect(try allocate([], from: sets) == ["10.0.0.2"])
    #expect(try allocate(["10.0.0.4"], from: sets) == ["10.0.0.4"])
    #expect(texts(try fixture.network().release(owner("dummy"))) == ["10.0.0.2", "10.0.0.4"])
  }
}
