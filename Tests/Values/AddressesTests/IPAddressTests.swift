import Addresses
import Testing

@Suite struct IPAddressTests {
  @Test(arguments: ["0.0.0.0", "127.0.0.1", "10.244.1.7", "192.0.2.255", "255.255.255.255"])
  func readsAndWritesIPv4(_ text: String) {
    #expect(IPAddress(text)?.family == .v4)
    #expect(IPAddress(text)?.description == text)
  }

  @Test(arguments: [
    "", ".", "...", "1", "1.2.3", "1.2.3.", ".1.2.3", "1.2.3.4.", "1.2.3.4.5", "256.0.0.1", "1.2.3.999", "01.2.3.4",
    "00.0.0.0",
    "1.2.3.04", "0x1.2.3.4", "1.2.3.-4", "+1.2.3.4", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4\n", "1.2.3.4\u{0}", "1.2..4",
    "1.2.3.4/24", "１.2.3.4", "1,2,3,4", "99999999999999999999.1.1.1", "4294967296",
  ])
  func refusesInvalidIPv4(_ text: String) { #expect(IPAddress(text) == nil) }

  /// On the left are the forms of RFC 4291 section 2.2, on the right those of RFC 5952 sections 4 and 5.
  @Test(arguments: [
    ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
    ("2001:0DB8:AAAA:BBBB:CCCC:DDDD:EEEE:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
    ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("0:0:0:0:0:0:0:0", "::"),
    ("::", "::"),
    ("0:0:0:0:0:0:0:1", "::1"),
    ("1::", "1::"),
    ("1:0:0:0:0:0:0:0", "1::"),
    ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
    ("fe80::202:b3ff:fe1e:8329", "fe80::202:b3ff:fe1e:8329"),
    ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
    ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
    ("::1.2.3.4", "::102:304"),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
  ])
  func readsAndWritesIPv6(_ text: String, _ canonical: String) {
    #expect(IPAddress(text)?.family == .v6)
    #expect(IPAddress(text)?.description == canonical)
    #expect(IPAddress(canonical) == IPAddress(text))
  }

  @Test(arguments: [
    ":", ":::", "1", "1:", ":1", "1::2::3", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8", "12345::", "g::", "-1::", "+1::", "fe80::1%eth0", "[::1]", "::1 ", " ::1", "::1/64",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1.2.3.4::", "::1.2.3", "::1.2.3.4.5", "::256.2.3.4", "::1.2.3.4:5", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7", "::\u{0}",
    "0000:0000:0000:0000:0000:0000:0000:0000:0000", "::ffff:01.2.3.4",
  ])
  func refusesInvalidIPv6(_ text: String) { #expect(IPAddress(text) == nil) }

  @Test func refusesOverlongTexts() {
    #expect(IPAddress(String(repeating: "1:", count: 1_000_000)) == nil)
    #expect(IPAddress(String(repeating: "9", count: 1_000_000)) == nil)
  }

  /// Go's net.ParseIP, which the reference plugins use, reads a mapped address as the IPv4 address in it.
  @Test(arguments: ["::ffff:192.0.2.1", "::ffff:c000:201", "0:0:0:0:0:FFFF:192.0.2.1"])
  func mappedAddressesAreIPv4(_ text: String) {
    #expect(IPAddress(text)?.family == .v4)
    #expect(IPAddress(text)?.description == "192.0.2.1")
  }

  @Test(arguments: ["10.244.1.7", "fd00:10:244:1::7"])
  func bytesAreInNetworkOrder(_ text: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.bytes.count == address.family.bitCount / 8)
    #expect(IPAddress(bytes: address.bytes) == address)
    #expect(IPAddress(family: address.family, value: address.value) == address)
  }

  @Test func refusesOtherSizes() {
    for count in [0, 3, 5, 15, 17] { #expect(IPAddress(bytes: [UInt8](repeating: 1, count: count)) == nil) }
    #expect(IPAddress(family: .v4, value: 1 << 32) == nil)
  }

  @Test(arguments: [
    ("10.0.0.255", 1, "10.0.1.0"),
    ("10.0.0.0", -1, "9.255.255.255"),
    ("255.255.255.255", 1, nil),
    ("0.0.0.0", -1, nil),
    ("fd00::ffff", 1, "fd00::1:0"),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, nil),
    ("::", -1, nil),
    ("::", Int128.max, "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("8000::", Int128.min, "::"),
    ("0.0.0.0", Int128.max, nil),
  ])
  func advancesWithinItsFamily(_ start: String, _ count: Int128, end: String?) throws {
    #expect(try #require(IPAddress(start)).advanced(by: count)?.description == end)
  }

  @Test func familiesAreSortedSeparately() throws {
    let sorted = ["10.0.0.2", "255.255.255.255", "::", "::1", "fd00::"]
    #expect(sorted.reversed().compactMap { IPAddress($0) }.sorted().map(\.description) == sorted)
  }

  @Test(arguments: [
    ("127.8.9.1", "loopback"), ("::1", "loopback"), ("224.0.0.1", "multicast"), ("239.255.255.255", "multicast"),
    ("ff02::1", "multicast"), ("169.254.1.1", "link-local"), ("fe80::1", "link-local"), ("febf::1", "link-local"),
    ("0.0.0.0", "unspecified"), ("::", "unspecified"), ("10.1.2.3", ""), ("240.0.0.1", ""), ("fec0::1", ""),
    ("fd00::1", ""),
    ("128.0.0.1", ""), ("::2", ""),
  ])
  func recognisesSpecialRanges(_ text: String, _ kind: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.isLoopback == (kind == "loopback"))
    #expect(address.isMulticast == (kind == "multicast"))
    #expect(address.isLinkLocal == (kind == "link-local"))
    #expect(address.isUnspecified == (kind == "unspecified"))
  }
}
