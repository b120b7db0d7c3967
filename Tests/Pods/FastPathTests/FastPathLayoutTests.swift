import Addresses
import FastPath
import Testing

/// Keys and values of the maps, byte for byte as in `layout.h` on a little-endian machine.
@Suite struct FastPathLayoutTests {
  private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
  private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
  private func mac(_ text: String) throws -> MACAddress { try #require(MACAddress(text)) }

  @Test func anAddressHasSixteenBytes() throws {
    #expect(
      try FastPathPod.key(address("10.244.1.2")) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 244, 1, 2])
    #expect(
      try FastPathPod.key(address("fd00:10:244:1::2")) == [
        0xFD, 0, 0, 0x10, 2, 0x44, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2,
      ])
  }

  @Test(arguments: ["10.244.1.2", "0.0.0.0", "255.255.255.255", "fd00:10:244:1::2", "::", "::1"])
  func anAddressIsReadBack(_ text: String) throws {
    let address = try address(text)
    #expect(FastPathPod.address(FastPathPod.key(address)) == address)
    #expect(FastPathPod.text(FastPathPod.key(address)) == text)
    // Also from a slice of a longer array.
    #expect(FastPathPod.address(([1, 2] + FastPathPod.key(address)).dropFirst(2)) == address)
  }

  /// Keys of a wrong size are no addresses, but have a text for the log.
  @Test(arguments: [0, 4, 11, 12, 13, 15, 17, 20]) func keysOfOtherSizesAreNotAddresses(_ size: Int) {
    let zeros = [UInt8](repeating: 0, count: size)
    #expect(FastPathPod.address(zeros) == nil)
    #expect(!FastPathPeer.subnet(zeros).isEmpty)
    #expect(!FastPathPod.text(zeros).isEmpty)
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] + [UInt8](repeating: 1, count: 3)
    #expect(FastPathPod.address(mapped) == nil)
  }

  @Test func aPodHasALinkAndTwoMACs() throws {
    let pod = FastPathPod(
      link: 0x0102_0304, mac: try mac("02:00:00:00:00:01"), gatewayMAC: try mac("0a:0b:0c:0d:0e:0f"))
    #expect(pod.value == [4, 3, 2, 1, 2, 0, 0, 0, 0, 1, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F])
    #expect(FastPathPod(value: pod.value) == pod)
    #expect(FastPathPod(value: []) == nil)
    #expect(FastPathPod(value: pod.value.dropLast()) == nil)
    #expect(FastPathPod(value: pod.value + [0]) == nil)
  }

  @Test func aSubnetsLengthIsCountedOf128Bits() throws {
    #expect(
      try FastPathPeer.key(prefix("10.244.2.0/24"))
        == [120, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 244, 2, 0])
    #expect(
      try FastPathPeer.key(prefix("fd00:10:244:2::/64"))
        == [64, 0, 0, 0, 0xFD, 0, 0, 0x10, 2, 0x44, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0])
    // Bits behind the prefix must be zero in the key, or the trie would have two entries for one subnet.
    #expect(try FastPathPeer.key(prefix("10.244.2.7/24")) == FastPathPeer.key(prefix("10.244.2.0/24")))
  }

  @Test(arguments: ["10.244.2.0/24", "10.244.2.7/32", "0.0.0.0/0", "fd00:10:244:2::/64", "::/0", "fd00::1/128"])
  func aSubnetIsReadBack(_ text: String) throws {
    #expect(try FastPathPeer.subnet(FastPathPeer.key(prefix(text))) == text)
  }

  @Test func aPeerHasALinkAndANextHop() throws {
    let v4 = FastPathPeer.node(link: 2, nextHop: try address("192.0.2.12"))
    #expect(v4.value == [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 12])
    let v6 = FastPathPeer.node(link: 0x0100, nextHop: try address("2001:db8::12"))
    #expect(v6.value == [0, 1, 0, 0, 0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12])
    #expect(FastPathPeer.thisNode.value == [UInt8](repeating: 0, count: 20))
    for peer in [v4, v6, .thisNode] { #expect(FastPathPeer(value: peer.value) == peer) }
    #expect(FastPathPeer(value: []) == nil)
    #expect(FastPathPeer(value: v4.value.dropLast()) == nil)
    #expect(FastPathPeer(value: v4.value + [0]) == nil)
  }

  /// JSON and metrics have these names; the programs count in this order.
  @Test func reasonsAreInTheProgramsOrder() {
    #expect(
      FastPathCount.Reason.allCases.map(\.name) == [
        "carried", "no-pod", "no-peer", "protocol", "options", "hop-limit", "size", "handshake", "new", "translated",
        "refresh",
      ])
    #expect(FastPathCount.Direction.allCases.map(\.name) == ["from-pod", "to-pod"])
  }
}
