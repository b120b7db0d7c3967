import Addresses
import IPAM
import Linux
import Testing
import TestSupport

@Suite struct AllocationTests {
  private let fixture: LeaseFixture

  init() throws { fixture = try LeaseFixture() }

  struct RoundRobin: Sendable, CustomTestStringConvertible {
    let name: String
    let ranges: [String]
    var held: [String] = []
    var last: String?
    /// `nil`: exhausted.
    let expected: String?
    var testDescription: String { name }
  }

  static let twoSubnets = ["10.0.0.0/30", "10.0.1.0/30"]

  @Test(arguments: [
    RoundRobin(name: "fresh IPv4", ranges: ["10.0.0.0/29"], expected: "10.0.0.2"),
    RoundRobin(name: "fresh IPv6", ranges: ["2001:db8:1::/64"], expected: "2001:db8:1::2"),
    RoundRobin(name: "fresh /30", ranges: ["10.0.0.0/30"], expected: "10.0.0.2"),
    RoundRobin(name: "gateway elsewhere", ranges: ["10.0.0.0/29 gw 10.0.0.6"], expected: "10.0.0.1"),
    RoundRobin(name: "first held", ranges: ["10.0.0.0/29"], held: ["10.0.0.2"], expected: "10.0.0.3"),
    RoundRobin(name: "after the last", ranges: ["10.0.0.0/29"], last: "10.0.0.2", expected: "10.0.0.3"),
    RoundRobin(
      name: "over a run", ranges: ["10.0.0.0/29"], held: ["10.0.0.4", "10.0.0.5"], last: "10.0.0.3",
      expected: "10.0.0.6"),
    RoundRobin(
      name: "around", ranges: ["10.0.0.0/29"], held: ["10.0.0.6"], last: "10.0.0.5", expected: "10.0.0.2"),
    RoundRobin(
      name: "around over a run", ranges: ["10.0.0.0/29"], held: ["10.0.0.4", "10.0.0.5", "10.0.0.6"],
      last: "10.0.0.3", expected: "10.0.0.2"),
    RoundRobin(name: "last out of range", ranges: ["10.0.0.0/29"], last: "10.0.1.7", expected: "10.0.0.2"),
    RoundRobin(name: "last of the other family", ranges: ["10.0.0.0/29"], last: "fd00::3", expected: "10.0.0.2"),
    RoundRobin(name: "last is no address", ranges: ["10.0.0.0/29"], last: "10.0.0.", expected: "10.0.0.2"),
    RoundRobin(
      name: "only the last is free", ranges: ["10.0.0.0/29"],
      held: ["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"], last: "10.0.0.3", expected: "10.0.0.3"),
    RoundRobin(
      name: "last at the end", ranges: ["10.0.0.0/29"], last: "10.0.0.6", expected: "10.0.0.2"),
    RoundRobin(name: "first subnet", ranges: twoSubnets, expected: "10.0.0.2"),
    RoundRobin(
      name: "to the next subnet", ranges: twoSubnets, last: "10.0.0.2", expected: "10.0.1.2"),
    RoundRobin(
      name: "next subnet, first held", ranges: ["10.0.0.0/30", "10.0.1.0/29"], held: ["10.0.1.2"],
      last: "10.0.0.2", expected: "10.0.1.3"),
    RoundRobin(
      name: "back to the first subnet", ranges: twoSubnets, last: "10.0.1.2", expected: "10.0.0.2"),
    RoundRobin(
      name: "bounds", ranges: ["10.0.0.0/24 10.0.0.10-10.0.0.12"], last: "10.0.0.12", expected: "10.0.0.10"),
    RoundRobin(
      name: "end of IPv6",
      ranges: ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124"], last: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
      expected: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    RoundRobin(
      name: "around the end of IPv6",
      ranges: ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124"], last: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      expected: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff2"),
    RoundRobin(
      name: "over a border of index blocks", ranges: ["10.0.0.0/16"],
      held: ["10.0.127.254", "10.0.127.255", "10.0.128.0"], last: "10.0.127.253", expected: "10.0.128.1"),
    RoundRobin(
      name: "full", ranges: ["10.0.0.0/29"],
      held: ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"], expected: nil),
    RoundRobin(
      name: "full, last out of range", ranges: ["10.0.0.0/30"], held: ["10.0.0.2"], last: "10.0.3.1", expected: nil),
    RoundRobin(
      name: "both subnets full", ranges: twoSubnets, held: ["10.0.0.2", "10.0.1.2"], last: "10.0.1.2", expected: nil),
  ])
  func addressesAreLeasedRoundRobin(_ example: RoundRobin) throws {
    for name in example.held { try fixture.write(name, "other\r\neth0") }
    if let last = example.last { try fixture.write("last_reserved_ip.0", last) }
    let set = try RangeSet(try example.ranges.map { try range($0) })
    let error = errorText {
      let allocations = try fixture.network().allocate(owner("id"), from: [set], requested: [])
      #expect(texts(allocations) == [example.expected])
    }
    if let expected = example.expected {
      #expect(error == nil)
      #expect(try fixture.content("last_reserved_ip.0") == expected)
    } else {
      let ranges = set.description
      #expect(
        error?.hasPrefix("failed to allocate for range 0: no IP addresses available in range set: \(ranges)")
          ?? false, "\(error ?? "no error")")
    }
  }

  @Test func anAllocationHasAddressGatewayAndRangeSet() throws {
    let sets = [try rangeSet("10.1.2.0/24", "10.1.3.0/25"), try rangeSet("2001:db8:1::/64 gw fe80::1")]
    let allocations = try fixture.network().allocate(owner("dummy"), from: sets, requested: [try address("10.1.3.9")])
    #expect(allocations.map(\.address.description) == ["10.1.3.9/25", "2001:db8:1::1/64"])
    #expect(allocations.map(\.gateway.description) == ["10.1.3.1", "fe80::1"])
    #expect(allocations.map(\.rangeSet) == [0, 1])
  }

  /// As in host-local's own test: files, their content, and what is kept after DEL.
  @Test func filesHaveHostLocalsLayout() throws {
    let sets = [try rangeSet("10.1.2.0/24", "10.2.2.0/24"), try rangeSet("2001:db8:1::/64")]
    let network = fixture.network()
    _ = try network.allocate(owner("dummy"), from: sets, requested: [])
    #expect(try fixture.leases() == ["10.1.2.2": "dummy\r\neth0", "2001:db8:1::2": "dummy\r\neth0"])
    #expect(try fixture.content("last_reserved_ip.0") == "10.1.2.2")
    #expect(try fixture.content("last_reserved_ip.1") == "2001:db8:1::2")
    #expect(try fixture.names() == ["10.1.2.2", "2001:db8:1::2", "last_reserved_ip.0", "last_reserved_ip.1"])
    #expect(try mode(fixture.path) == "755")
    #expect(try mode("\(fixture.path)/10.1.2.2") == "600")
    #expect(try Files.names(in: fixture.dataDirectory) == ["net"])

    #expect(texts(try network.release(owner("dummy"))) == ["10.1.2.2", "2001:db8:1::2"])
    #expect(try fixture.names() == ["last_reserved_ip.0", "last_reserved_ip.1"])
  }

  private func mode(_ path: String) throws -> String {
    try run(["stat", "-c", "%a", path]).succeeded().output.filter { !$0.isNewline }
  }

  @Test func twoInterfacesOfAContainerHaveLeasesOfTheirOwn() throws {
    let network = fixture.network()
    let sets = [try rangeSet("10.1.2.0/24")]
    #expect(texts(try network.allocate(owner("dummy", "eth0"), from: sets, requested: [])) == ["10.1.2.2"])
    #expect(texts(try network.allocate(owner("dummy", "eth1"), from: sets, requested: [])) == ["10.1.2.3"])
    #expect(texts(try network.release(owner("dummy", "eth0"))) == ["10.1.2.2"])
    #expect(try fixture.leases() == ["10.1.2.3": "dummy\r\neth1"])
    #expect(texts(try network.find(owner("dummy", "eth1"))) == ["10.1.2.3"])
    #expect(try network.find(owner("dummy", "eth0")).isEmpty)
  }

  @Test func aSecondAddOfTheSameInterfaceIsRefused() throws {
    let network = fixture.network()
    let sets = [try rangeSet("10.1.2.0/24")]
    _ = try network.allocate(owner("dummy"), from: sets, requested: [])
    let error = #expect(throws: IPAMError.self) {
      _ = try network.allocate(owner("dummy"), from: sets, requested: [])
    }
    #expect(
      error?.description.contains("10.1.2.2 has been allocated to dummy, duplicate allocation is not allowed") ?? false)
    #expect(texts(try network.allocate(owner("other"), from: sets, requested: [])) == ["10.1.2.3"])
    // A set of other addresses is not affected.
    #expect(
      texts(try network.allocate(owner("dummy"), from: [try rangeSet("10.9.0.0/24")], requested: [])) == ["10.9.0.2"])
  }

  @Test func aSecondAddIsRefusedForALeaseInTheOldFormat() throws {
    try fixture.write("10.1.2.9", "dummy")
    let error = errorText {
      _ = try fixture.network().allocate(owner("dummy"), from: [try rangeSet("10.1.2.0/24")], requested: [])
    }
    #expect(error?.contains("10.1.2.9 has been allocated to dummy") ?? false)
  }

  @Test func theBroadcastAddressIsNeverLeased() throws {
    let network = fixture.network()
    let sets = [try rangeSet("10.0.0.0/29")]
    for number in 2...6 {
      #expect(texts(try network.allocate(owner("id\(number)"), from: sets, requested: [])) == ["10.0.0.\(number)"])
    }
    #expect(throws: IPAMError.exhausted(rangeSet: 0, ranges: sets[0])) {
      _ = try network.allocate(owner("id7"), from: sets, requested: [])
    }
    #expect(texts(try network.release(owner("id3"))) == ["10.0.0.3"])
    #expect(texts(try network.allocate(owner("id7"), from: sets, requested: [])) == ["10.0.0.3"])
  }

  @Test func aReleasedAddressIsLeasedAgainLast() throws {
    let network = fixture.network()
    let sets = [try rangeSet("10.0.0.0/29")]
    var seen: [String] = []
    for number in 0..<7 {
      seen += texts(try network.allocate(owner("id\(number)"), from: sets, requested: []))
      _ = try network.release(owner("id\(number)"))
    }
    #expect(seen == ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2", "10.0.0.3"])
  }

  @Test func whiteSpaceAroundAnIDIsIgnored() throws {
    let network = fixture.network()
    _ = try network.allocate(owner("   dummy\n "), from: [try rangeSet("10.1.2.0/24")], requested: [])
    #expect(try fixture.leases() == ["10.1.2.2": "dummy\r\neth0"])
    try fixture.write("10.1.2.3", "\n  spaced\r\neth0 \r\n\r\n")
    #expect(texts(try network.find(owner("spaced"))) == ["10.1.2.3"])
    #expect(texts(try network.release(owner(" dummy"))) == ["10.1.2.2"])
  }

  @Test func namesAndIDsMayHaveAnyLengthAndCharacters() throws {
    let network = fixture.network()
    let sets = [try rangeSet("10.1.2.0/24")]
    for id in [String(repeating: "x", count: 100_000), "a/../b", "10.1.2.3", "last_reserved_ip.0", "ä b"] {
      let addresses = texts(try network.allocate(owner(id), from: sets, requested: []))
      #expect(texts(try network.find(owner(id))) == addresses)
      #expect(texts(try network.release(owner(id))) == addresses)
    }
    // For an ID that is an address, host-local's DEL removes that file.
    #expect(try fixture.names() == ["last_reserved_ip.0"])
  }
}
