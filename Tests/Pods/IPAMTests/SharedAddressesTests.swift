import Addresses
import IPAM
import Linux
import Testing

/// Ranges that come from the node's lease are the same for all networks of the node.
@Suite struct SharedAddressesTests {
  private let fixture: LeaseFixture
  private let sets: [RangeSet]

  init() throws {
    fixture = try LeaseFixture()
    sets = [try rangeSet("10.0.0.0/29"), try rangeSet("fd00::/64")]
  }

  private func allocate(_ id: String, on network: String, shares: Bool = true) throws -> [String] {
    texts(try fixture.network(network, shares: shares).allocate(owner(id), from: sets, requested: []))
  }

  @Test func anAddressHeldInAnyNetworkIsNotLeased() throws {
    #expect(try allocate("a", on: "one") == ["10.0.0.2", "fd00::2"])
    #expect(try allocate("b", on: "two") == ["10.0.0.3", "fd00::3"])
    // As host-local leaves a lease: without an index, and in any directory.
    try fixture.write("10.0.0.4", "c\r\neth0", network: "three")
    try fixture.write("unrelated", "", network: ".hidden")
    try Files.write("\(fixture.dataDirectory)/file", [])
    #expect(try allocate("d", on: "one") == ["10.0.0.5", "fd00::4"])
    #expect(try fixture.network("two", shares: true).release(owner("d")).isEmpty)
    #expect(texts(try fixture.network("two", shares: true).release(owner("b"))) == ["10.0.0.3", "fd00::3"])
  }

  @Test func aRequestForAnAddressOfAnotherNetworkIsRefused() throws {
    _ = try allocate("a", on: "one")
    let error = errorText {
      _ = try fixture.network("two", shares: true).allocate(
        owner("b"), from: sets, requested: [try address("10.0.0.2")])
    }
    #expect(error?.contains("requested IP address 10.0.0.2 is not available") ?? false)
    #expect(try fixture.leases(network: "two").isEmpty)
  }

  @Test func withoutSharingEachNetworkHasItsOwnAddresses() throws {
    _ = try allocate("a", on: "one")
    #expect(try allocate("b", on: "two", shares: false) == ["10.0.0.2", "fd00::2"])
  }

  @Test func aRangeIsFullByTheLeasesOfAllNetworks() throws {
    for number in 0..<5 { _ = try allocate("id\(number)", on: number.isMultiple(of: 2) ? "one" : "two") }
    #expect(throws: IPAMError.exhausted(rangeSet: 0, ranges: sets[0])) { _ = try allocate("more", on: "one") }
    #expect(throws: IPAMError.self) { _ = try allocate("more", on: "three") }
    _ = try fixture.network("two", shares: true).release(owner("id1"))
    #expect(try allocate("more", on: "three").first == "10.0.0.3")
  }

  /// A network that is no longer configured never removes its own left-over leases.
  @Test func leftOverLeasesOfAnotherNetworkAreFree() throws {
    _ = try allocate("a", on: "old")
    try fixture.reboot()
    try fixture.write("10.0.0.3", "b\r\neth0", network: "old")
    #expect(try allocate("c", on: "new") == ["10.0.0.2", "fd00::2"])
    #expect(try allocate("d", on: "new") == ["10.0.0.4", "fd00::3"])
  }

  @Test func networksLeaseOneAfterTheOther() throws {
    _ = try allocate("a", on: "one")
    let turn = try FileLock(directory: fixture.dataDirectory, waitingAtMost: .seconds(5))
    let network = fixture.network("two", shares: true, limit: .milliseconds(20))
    #expect(throws: IPAMError.locked(path: fixture.dataDirectory, waited: .milliseconds(20))) {
      _ = try network.allocate(owner("b"), from: sets, requested: [])
    }
    // DEL does not wait for other networks.
    #expect(
      texts(try fixture.network("one", shares: true, limit: .seconds(5)).release(owner("a"))) == [
        "10.0.0.2", "fd00::2",
      ])
    _ = consume turn
  }
}
