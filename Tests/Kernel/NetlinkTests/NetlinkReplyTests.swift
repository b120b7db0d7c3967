import Testing

@testable import Netlink

/// Messages from the kernel: valid ones are read, invalid ones are errors and do not trap.
@Suite struct NetlinkReplyTests {
  /// `nlmsghdr`: length, type, flags, sequence, port.
  private func message(length: UInt32, type: UInt16 = 16, payload: [UInt8] = []) -> [UInt8] {
    bytes(length) + bytes(type) + bytes(UInt16(0)) + bytes(UInt32(7)) + bytes(UInt32(0)) + payload
  }

  private func attribute(length: UInt16, type: UInt16, payload: [UInt8] = []) -> [UInt8] {
    bytes(length) + bytes(type) + payload
  }

  /// A number in the machine's byte order, which is little-endian on all supported machines.
  private func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<MemoryLayout<Value>.size).map { UInt8(truncatingIfNeeded: value.littleEndian >> Value($0 * 8)) }
  }

  @Test func splitsADatagram() throws {
    let datagram =
      message(length: 18, type: 16, payload: [1, 2, 0, 0]) + message(length: 16, type: 3)
      // The last message may lack its padding.
      + message(length: 17, type: 20, payload: [9])
    let replies = try NetlinkReply.split(datagram[...])
    #expect(replies.map(\.type) == [16, 3, 20])
    #expect(replies.map { Array($0.payload) } == [[1, 2], [], [9]])
    #expect(replies.allSatisfy { $0.sequence == 7 })
    #expect(try NetlinkReply.split([]).isEmpty)
  }

  @Test(arguments: [0, 1, 15, 17, 1000, UInt32.max]) func anImpossibleMessageLengthIsAnError(_ length: UInt32) {
    #expect(throws: NetlinkError.self) { _ = try NetlinkReply.split(message(length: length)[...]) }
  }

  @Test(arguments: 1..<16) func aCutHeaderIsAnError(_ count: Int) {
    #expect(throws: NetlinkError.self) { _ = try NetlinkReply.split(message(length: 16).prefix(count)) }
  }

  @Test func readsAttributes() throws {
    let attributes = try Attributes(
      (attribute(length: 8, type: 1, payload: [1, 0, 0, 0]) + attribute(length: 7, type: 2, payload: [97, 98, 0, 0])
        + attribute(length: 12, type: 3 | 1 << 15, payload: attribute(length: 6, type: 9, payload: [5, 0, 0, 0]))
        + attribute(length: 4, type: 4))[...])
    #expect(attributes.value(1, as: UInt32.self) == 1)
    #expect(attributes.value(1, as: UInt64.self) == nil)
    #expect(attributes.string(2) == "ab")
    #expect(try attributes.nest(3)?.value(9, as: UInt16.self) == 5)
    #expect(attributes[4]?.isEmpty == true)
    #expect(attributes.string(4) == "")
    #expect(attributes[5] == nil && attributes.string(5) == nil)
    #expect(try attributes.nest(5) == nil)
  }

  /// A length of zero would loop forever, and one beyond the end would read other memory.
  @Test(arguments: [0, 1, 3, 9, 100, UInt16.max]) func anImpossibleAttributeLengthIsAnError(_ length: UInt16) {
    let cut = attribute(length: length, type: 1, payload: [1, 2, 3, 4])
    #expect(throws: NetlinkError.self) { _ = try Attributes(cut[...]) }
  }

  @Test func aShortBodyIsAnError() throws {
    let reply = try #require(try NetlinkReply.split(message(length: 20, payload: [1, 2, 3, 4])[...]).first)
    #expect(throws: NetlinkError.self) { _ = try Link(reply) }
    #expect(throws: NetlinkError.self) { _ = try LinkAddress(reply) }
    #expect(throws: NetlinkError.self) { _ = try Route(reply) }
  }

  /// Headers and attributes of random bytes.
  @Test func randomBytesNeverTrap() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...96, using: &generator)
      let random = (0..<count).map { _ in UInt8.random(in: 0...9, using: &generator) }
      guard let replies = try? NetlinkReply.split((message(length: UInt32(16 + count)) + random)[...]) else { continue }
      for reply in replies {
        _ = try? Link(reply)
        _ = try? LinkAddress(reply)
        _ = try? Route(reply)
      }
    }
  }
}
