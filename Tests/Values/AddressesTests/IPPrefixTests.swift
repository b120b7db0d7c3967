import Addresses
import Testing

@Suite struct IPPrefixTests {
  @Test(arguments: [
    ("10.244.1.7/24", "10.244.1.0/24", "10.244.1.0", "10.244.1.255"),
    ("10.244.1.7/32", "10.244.1.7/32", "10.244.1.7", "10.244.1.7"),
    ("10.244.1.7/31", "10.244.1.6/31", "10.244.1.6", "10.244.1.7"),
    ("10.244.1.7/0", "0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
    ("fd00:1::7/64", "fd00:1::/64", "fd00:1::", "fd00:1::ffff:ffff:ffff:ffff"),
    ("fd00:1::7/128", "fd00:1::7/128", "fd00:1::7", "fd00:1::7"),
    ("fd00:1::7/0", "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
  ])
  func networkFirstAndLastAddress(_ text: String, _ network: String, first: String, last: String) throws {
    let prefix = try #require(IPPrefix(text))
    #expect(prefix.description == text)
    #expect(prefix.network.description == network)
    #expect(prefix.network.isNetwork)
    #expect(prefix.isNetwork == (text == network))
    #expect(prefix.first.description == first)
    #expect(prefix.last.description == last)
    #expect(prefix.contains(prefix.first) && prefix.contains(prefix.last) && prefix.contains(prefix.address))
    #expect(
      try !prefix.contains(#require(prefix.last.advanced(by: 1) ?? IPAddress(prefix.family == .v4 ? "::" : "0.0.0.0"))))
  }

  @Test(arguments: [
    "", "/", "10.0.0.0", "10.0.0.0/", "/24", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/ 8",
    "10.0.0/8",
    "10.0.0.0/255.0.0.0", "10.0.0.0/8.0", "10.0.0.0/0000", "10.0.0.0/999999999999999999999", "fd00::/129", "fd00::/x",
    "fd00::%1/64",
    "10.0.0.0/２４",
  ])
  func refusesInvalidPrefixes(_ text: String) { #expect(IPPrefix(text) == nil) }

  @Test(arguments: [
    ("10.244.0.0/16", "10.244.1.0/24", true, true),
    ("10.244.1.0/24", "10.244.0.0/16", false, true),
    ("10.244.1.0/24", "10.244.1.0/24", true, true),
    ("10.244.1.0/24", "10.244.2.0/24", false, false),
    ("0.0.0.0/0", "10.244.1.0/24", true, true),
    ("0.0.0.0/0", "fd00::/64", false, false),
    ("::/0", "10.244.1.0/24", false, false),
    ("fd00::/16", "fd00:1::/64", true, true),
    // Host bits are ignored.
    ("10.244.1.9/16", "10.244.200.7/24", true, true),
  ])
  func containsAndOverlaps(_ left: String, _ right: String, contains: Bool, overlaps: Bool) throws {
    let left = try #require(IPPrefix(left))
    let right = try #require(IPPrefix(right))
    #expect(left.contains(right) == contains)
    #expect(left.overlaps(right) == overlaps)
    #expect(right.overlaps(left) == overlaps)
  }

  @Test func lengthsFitTheFamily() throws {
    let address = try #require(IPAddress("10.0.0.1"))
    #expect(IPPrefix(address, length: -1) == nil)
    #expect(IPPrefix(address, length: 33) == nil)
    #expect(IPPrefix(host: address).description == "10.0.0.1/32")
    #expect(IPPrefix.everything(.v6).description == "::/0")
  }
}
