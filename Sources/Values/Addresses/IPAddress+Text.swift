extension IPAddress: LosslessStringConvertible {
  /// Reads an IPv4 address in dotted-quad form without leading zeros, or an IPv6 address without a zone (RFC 4291).
  ///
  /// An IPv4-mapped IPv6 address becomes the IPv4 address, as in Go's net.ParseIP.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count <= 45 else { return nil }
    if bytes.contains(UInt8(ascii: ":")) {
      guard let value = IPAddress.parseV6(bytes[...]) else { return nil }
      if value >> 32 == 0xFFFF {
        self.init(v4: UInt32(truncatingIfNeeded: value))
      } else {
        self.init(v6: value)
      }
    } else {
      guard let value = IPAddress.parseV4(bytes[...]) else { return nil }
      self.init(v4: value)
    }
  }

  /// The address in dotted-quad form, or as RFC 5952 recommends: lower case, with the first longest run of two or more
  /// zero groups shortened to `::`.
  package var description: String {
    switch family {
    // Not `joined`: its first use in a program costs as much as ten system calls.
    case .v4:
      "\(UInt8(truncatingIfNeeded: value >> 24)).\(UInt8(truncatingIfNeeded: value >> 16))."
        + "\(UInt8(truncatingIfNeeded: value >> 8)).\(UInt8(truncatingIfNeeded: value))"
    case .v6: IPAddress.formatV6(value)
    }
  }

  private static func parseV4(_ text: ArraySlice<UInt8>) -> UInt32? {
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else {
        return nil
      }
      var octet: UInt32 = 0
      for byte in part {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
        octet = octet * 10 + UInt32(byte - UInt8(ascii: "0"))
      }
      guard octet <= 255 else { return nil }
      value = value << 8 | octet
    }
    return value
  }

  private static func parseV6(_ text: ArraySlice<UInt8>) -> UInt128? {
    let colon = UInt8(ascii: ":")
    var halves: [ArraySlice<UInt8>] = [text]
    if let gap = text.indices.first(where: { text[$0] == colon && text[$0...].dropFirst().first == colon }) {
      halves = [text[..<gap], text[(gap + 2)...]]
    }
    var groups: [[UInt16]] = []
    for (index, half) in halves.enumerated() {
      guard let parsed = parseGroups(half, mayEndInV4: index == halves.count - 1) else { return nil }
      groups.append(parsed)
    }
    let count = groups.reduce(0) { $0 + $1.count }
    guard groups.count == 1 ? count == 8 : count <= 7 else { return nil }
    let gap = groups.count == 1 ? [] : Array(repeating: UInt16(0), count: 8 - count)
    let all = groups[0] + gap + (groups.count == 1 ? [] : groups[1])
    return all.reduce(0) { $0 << 16 | UInt128($1) }
  }

  private static func parseGroups(_ text: ArraySlice<UInt8>, mayEndInV4: Bool) -> [UInt16]? {
    guard !text.isEmpty else { return [] }
    var groups: [UInt16] = []
    let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if mayEndInV4, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
        guard let value = parseV4(part) else { return nil }
        groups += [UInt16(truncatingIfNeeded: value >> 16), UInt16(truncatingIfNeeded: value)]
        continue
      }
      guard (1...4).contains(part.count), part.first != UInt8(ascii: "+"),
        let group = UInt16(String(decoding: part, as: UTF8.self), radix: 16)
      else { return nil }
      groups.append(group)
    }
    return groups
  }

  private static func formatV6(_ value: UInt128) -> String {
    let groups = (0..<8).map { UInt16(truncatingIfNeeded: value >> UInt128(112 - 16 * $0)) }
    var longest = 0..<0
    var start = 0
    while start < 8 {
      let end = groups[start...].firstIndex { $0 != 0 } ?? 8
      if end - start > longest.count { longest = start..<end }
      start = max(end, start) + 1
    }
    func text(_ range: Range<Int>) -> String {
      groups[range].map { String($0, radix: 16) }.joined(separator: ":")
    }
    guard longest.count >= 2 else { return text(0..<8) }
    return text(0..<longest.lowerBound) + "::" + text(longest.upperBound..<8)
  }
}
