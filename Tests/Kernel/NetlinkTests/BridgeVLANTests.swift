import Testing

@testable import Netlink

/// The VLANs of ports in messages; a request to set them has the same format as the kernel's list.
@Suite struct BridgeVLANTests {
  @Test(
    arguments: [
      [], [.native(1)], [.native(4094)], [PortVLANs(1...4094)], [PortVLANs(7...7, isUntagged: true)],
      [PortVLANs(1...1, isUntagged: true), .native(100), PortVLANs(101...101), PortVLANs(200...210)],
      [PortVLANs(5...6), PortVLANs(7...9, isUntagged: true), PortVLANs(10...11)],
    ] as [[PortVLANs]])
  func sentVLANsAreReadBackEqual(_ vlans: [PortVLANs]) throws {
    let message = NetlinkRequest.addVLANs(vlans, to: 12, name: "p").sealed(sequence: 1, flags: 0)
    let member = try BridgeMember(#require(NetlinkReply.split(message[...]).first))
    #expect(member.linkIndex == 12 && member.vlans == vlans)
  }

  @Test func aRangeIsSentAsItsTwoEnds() {
    // After nlmsghdr and ifinfomsg: the nest, then in each attribute (type 2, 8 bytes) the flags and the ID.
    let message = NetlinkRequest.addVLANs([PortVLANs(200...210)], to: 1, name: "p").sealed(sequence: 1, flags: 0)
    #expect(message.dropFirst(36) == [8, 0, 2, 0, 8, 0, 200, 0, 8, 0, 2, 0, 16, 0, 210, 0])
  }

  @Test(
    arguments: [
      ([.native(5)], 5), ([], nil), ([PortVLANs(1...1)], nil), ([PortVLANs(1...1, isUntagged: true)], nil),
      ([PortVLANs(1...1, isNative: true)], nil), ([PortVLANs(1...1, isUntagged: true), .native(9)], 9),
    ] as [([PortVLANs], UInt16?)])
  func theVLANOfUntaggedFrames(_ vlans: [PortVLANs], _ id: UInt16?) throws {
    let message = NetlinkRequest.addVLANs(vlans, to: 1, name: "p").sealed(sequence: 1, flags: 0)
    #expect(try BridgeMember(#require(NetlinkReply.split(message[...]).first)).untaggedID == id)
  }
}
