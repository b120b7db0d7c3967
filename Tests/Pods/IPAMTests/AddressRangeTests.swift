import Addresses
import IPAM
import Testing

@Suite struct AddressRangeTests {
  struct Case: Sendable {
    let text: String
    let start: String
    let end: String
    let gateway: String
  }

  @Test(arguments: [
    Case(text: "192.0.2.0/24", start: "192.0.2.1", end: "192.0.2.254", gateway: "192.0.2.1"),
    Case(text: "192.0.2.0/25", start: "192.0.2.1", end: "192.0.2.126", gateway: "192.0.2.1"),
    Case(text: "192.0.2.0/30", start: "192.0.2.1", end: "192.0.2.2", gateway: "192.0.2.1"),
    Case(text: "0.0.0.0/0", start: "0.0.0.1", end: "255.255.255.254", gateway: "0.0.0.1"),
    Case(
      text: "2001:db8:1::/64", start: "2001:db8:1::1", end: "2001:db8:1:0:ffff:ffff:ffff:ffff",
      gateway: "2001:db8:1::1"),
    Case(text: "2001:db8::/126", start: "2001:db8::1", end: "2001:db8::3", gateway: "2001:db8::1"),
    Case(
      text: "::/0", start: "::1", end: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", gateway: "::1"),
    Case(
      text: "192.0.2.0/24 192.0.2.10-192.0.2.20 gw 192.0.2.254", start: "192.0.2.10", end: "192.0.2.20",
      gateway: "192.0.2.254"),
    Case(text: "192.0.2.0/24 192.0.2.0-192.0.2.255", start: "192.0.2.0", end: "192.0.2.255", gateway: "192.0.2.1"),
    Case(
      text: "192.0.2.0/24 gw 198.51.100.1", start: "192.0.2.1", end: "192.0.2.254", gateway: "198.51.100.1"),
  ])
  func missingValuesHaveDefaults(_ example: Case) throws {
    let range = try range(example.text)
    #expect(range.start.description == example.start)
    #expect(range.end.description == example.end)
    #expect(range.gateway.description == example.gateway)
    #expect(range.description == "\(example.start)-\(example.end)")
  }

  @Test(arguments: [
    ("192.0.2.0/31", "Network 192.0.2.0/31 too small to allocate from"),
    ("192.0.2.0/32", "Network 192.0.2.0/32 too small to allocate from"),
    ("2001:db8::/127", "Network 2001:db8::/127 too small to allocate from"),
    (
      "192.0.2.12/24",
      "Network has host bits set. For a subnet mask of length 24 the network address is 192.0.2.0"
    ),
    (
      "192.0.3.0/23", "Network has host bits set. For a subnet mask of length 23 the network address is 192.0.2.0"
    ),
    (
      "2001:db8:1::24:19ff:fee1:c44a/64",
      "Network has host bits set. For a subnet mask of length 64 the network address is 2001:db8:1::"
    ),
    (
      "2001:db8:0:1::/63",
      "Network has host bits set. For a subnet mask of length 63 the network address is 2001:db8::"
    ),
    ("192.0.2.0/24 192.0.3.0-192.0.2.9", "RangeStart 192.0.3.0 not in network 192.0.2.0/24"),
    ("192.0.2.0/24 192.0.2.5-192.0.4.0", "RangeEnd 192.0.4.0 not in network 192.0.2.0/24"),
    ("192.0.2.0/24 192.0.2.50-192.0.2.40", "RangeStart 192.0.2.50 not in network 192.0.2.0/24"),
    ("192.0.2.0/24 2001:db8::1-2001:db8::2", "RangeStart 2001:db8::1 not in network 192.0.2.0/24"),
    ("192.0.2.0/24 gw 2001:db8::1", "Gateway 2001:db8::1 must be an IPv4 address"),
  ])
  func invalidRangesAreRefusedWithTheReason(_ text: String, _ expected: String) throws {
    let error = try #require(errorText { _ = try range(text) })
    #expect(error.hasPrefix(expected), "\(error)")
  }

  @Test func aSingleBoundIsCheckedAgainstTheDefault() throws {
    let subnet = try #require(IPPrefix("192.0.2.0/24"))
    #expect(
      errorText { _ = try AddressRange(subnet: subnet, end: try address("192.0.2.0")) }
        == "RangeEnd 192.0.2.0 not in network 192.0.2.0/24")
    let start = try #require(errorText { _ = try AddressRange(subnet: subnet, start: try address("192.0.2.255")) })
    #expect(start.hasPrefix("RangeStart 192.0.2.255 not in network 192.0.2.0/24"))
    #expect(try AddressRange(subnet: subnet, start: try address("192.0.2.254")).end == address("192.0.2.254"))
  }

  @Test(arguments: [
    (
      "192.0.2.0/24 192.0.2.40-192.0.2.50", ["192.0.2.40", "192.0.2.45", "192.0.2.50"],
      ["192.0.2.39", "192.0.2.51", "192.0.3.45", "2001:db8::1"]
    ),
    (
      "2001:db8::/64 2001:db8::40-2001:db8::50", ["2001:db8::40", "2001:db8::50"],
      ["2001:db8::39", "2001:db8::51", "2001:db8:0:1::45", "192.0.2.45"]
    ),
  ])
  func containsItsBoundsAndNothingOutside(_ text: String, _ inside: [String], outside: [String]) throws {
    let range = try range(text)
    for text in inside { #expect(range.contains(try address(text)), "\(text)") }
    for text in outside { #expect(!range.contains(try address(text)), "\(text)") }
  }

  @Test(arguments: [
    ("192.0.2.0/24", "192.0.3.0/24", false),
    ("192.0.2.0/24", "2001:db8::/64", false),
    ("192.0.2.0/24", "192.0.2.0/24", true),
    ("192.0.2.0/24", "192.0.2.128/25", true),
    ("192.0.2.0/24 192.0.2.0-192.0.2.127", "192.0.2.0/24 192.0.2.128-192.0.2.255", false),
    ("192.0.2.0/24 192.0.2.0-192.0.2.127", "192.0.2.0/24 192.0.2.127-192.0.2.255", true),
    // These have equal numbers in different families.
    ("192.0.2.0/24", "::c000:200/120", false),
  ])
  func overlap(_ left: String, _ right: String, expected: Bool) throws {
    #expect(try range(left).overlaps(range(right)) == expected)
    #expect(try range(right).overlaps(range(left)) == expected)
    #expect(try rangeSet(left).overlaps(rangeSet(right)) == expected)
  }
}
