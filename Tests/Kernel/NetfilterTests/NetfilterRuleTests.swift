import Testing

@testable import Netfilter
@testable import Netlink

/// Comments in user data, and rules that no kernel would send.
@Suite struct NetfilterRuleTests {
  @Test(
    arguments: [
      ([], nil), ([0], nil), ([0, 3, 0x61, 0x62, 0], "ab"), ([0, 2, 0x61, 0x62], "ab"), ([0, 0], ""),
      // Another entry before the comment, only another entry, and lengths beyond the end.
      ([1, 4, 0, 0, 0, 1, 0, 2, 0x61, 0], "a"), ([1, 4, 0, 0, 0, 1], nil), ([0, 5, 0x61, 0], nil),
      ([1, 9, 0, 2, 0x61, 0], nil), ([1, 4, 0, 0, 0, 1, 0], nil),
    ] as [([UInt8], String?)])
  func readsCommentsOfUserData(_ userData: [UInt8], _ comment: String?) {
    #expect(UserDataComment.read(userData[...]) == comment)
  }

  @Test(arguments: ["", "a", String(repeating: "long ", count: 40)])
  func writtenCommentsAreReadBackEqual(_ comment: String) {
    #expect(UserDataComment.read(UserDataComment.bytes(comment)[...]) == comment)
  }

  /// Attributes within attributes of any length and type.
  @Test func randomBytesNeverTrap() {
    var generator = SystemRandomNumberGenerator()
    var read = 0
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...96, using: &generator)
      let random = (0..<count).map { _ in UInt8.random(in: 0...9, using: &generator) }
      guard let attributes = try? Attributes(random[...]) else { continue }
      if (try? NetfilterRule(attributes, in: TableName(.ip, "nat"))) != nil { read += 1 }
    }
    #expect(read > 0)
  }
}
