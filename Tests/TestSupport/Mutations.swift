/// Damaged variants of valid input (truncated, random, malicious), for parsers that must refuse or
/// understand any input. A seed always gives the same texts, so a test's arguments repeat a failure.
package struct Mutations {
  private let samples: [[UInt8]]
  private var generator: Seeded

  /// - Parameter samples: valid inputs; a mutation may also join the start of one with the end of another.
  package init(of samples: [[UInt8]], seed: UInt64) {
    self.samples = samples
    generator = Seeded(state: seed)
  }

  package init(of samples: [String], seed: UInt64) {
    self.init(of: samples.map { Array($0.utf8) }, seed: seed)
  }

  /// Texts that are inserted or replace numbers.
  private static let words: [[UInt8]] =
    [
      "0", "-1", "255", "256", "65536", "4294967296", "9223372036854775807", "9223372036854775808", "1e999", "0.5",
      "99999999999999999999999999999999", "null", "true", "{}", "[]", "\"\"", "\\u0000", "\\ud800", "../../x", "/",
      "..",
      "%d", ":", "-", "&", "*a", "\r\n", "\n", "\t", "\u{301}", "\u{202E}", "\u{1B}[2J", "255.255.255.255", "::",
      "/128",
      "::ffff:1.2.3.4",
    ].map { Array($0.utf8) } + [[0], [0, 0, 0, 0], [0xFF], [0xFF, 0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xF5, 0x80]]

  /// The next text, with one to four mutations.
  package mutating func next() -> [UInt8] {
    var text = samples.randomElement(using: &generator) ?? []
    for _ in 0..<Int.random(in: 1...4, using: &generator) { mutate(&text) }
    return text
  }

  /// The text in parts of random sizes.
  package mutating func parts(of text: [UInt8]) -> [[UInt8]] {
    var parts: [[UInt8]] = []
    var rest = text[...]
    while !rest.isEmpty {
      let part = rest.prefix(Int.random(in: 1...max(1, min(40, text.count)), using: &generator))
      parts.append(Array(part))
      rest = rest.dropFirst(part.count)
    }
    return parts
  }

  private mutating func mutate(_ text: inout [UInt8]) {
    guard !text.isEmpty else { return text = word() }
    let start = Int.random(in: text.indices, using: &generator)
    let end = min(text.count, start + Int.random(in: 1...24, using: &generator))
    switch Int.random(in: 0..<12, using: &generator) {
    case 0: text[start] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1: text.removeSubrange(start...)
    case 2: text.insert(contentsOf: text[start..<end], at: end)
    case 3: text.removeSubrange(start..<end)
    case 4: text.replaceSubrange(number(in: text, from: start) ?? start..<start, with: word())
    case 5: deepen(&text, start)
    case 6: text.insert(contentsOf: word(), at: start)
    case 7: text.replaceSubrange(start..<end, with: word())
    case 8: text[start] = UInt8.random(in: .min ... .max, using: &generator)
    case 9: text = Array(text[..<start] + (samples.randomElement(using: &generator) ?? []).suffix(end))
    // Two extreme bytes: a wrong length.
    case 10:
      for index in start..<min(start + 2, text.count) { text[index] = [0, 0xFF].randomElement(using: &generator) ?? 0 }
    default: text.swapAt(start, end - 1)
    }
  }

  private mutating func word() -> [UInt8] { Mutations.words.randomElement(using: &generator) ?? [] }

  /// The first digits after a position.
  private func number(in text: [UInt8], from start: Int) -> Range<Int>? {
    func isDigit(_ index: Int) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text[index]) }
    guard let first = (start..<text.count).first(where: isDigit) else { return nil }
    return first..<((first..<text.count).first { !isDigit($0) } ?? text.count)
  }

  private mutating func deepen(_ text: inout [UInt8], _ position: Int) {
    let opening = ["[", "{\"a\":", "[[", "- ", "{"].randomElement(using: &generator) ?? "["
    let count = [1, 2, 70, 300, 3000].randomElement(using: &generator) ?? 1
    text.insert(contentsOf: Array(repeatElement(Array(opening.utf8), count: count).joined()), at: position)
  }
}
