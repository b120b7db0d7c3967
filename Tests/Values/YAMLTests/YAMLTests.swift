import JSON
import Testing
import YAML

@Suite struct YAMLReadingTests {
  private func parse(_ text: String) throws -> JSONValue { try JSONValue(parsingYAML: Array(text.utf8)) }

  @Test(
    arguments: [
      ("a: b", ["a": "b"]), ("{\"a\": [1, true, null, \"true\"]}", ["a": ["1", true, .null, "true"]]),
      ("- x\n- y: 'it''s'\n  z: \"\\u00e9\\n\"\n", ["x", ["y": "it's", "z": "é\n"]]),
      ("a: &x {k: v}\nb: *x\n", ["a": ["k": "v"], "b": ["k": "v"]]), ("", .null), ("# nothing\n", .null),
      ("data: |\n  one\n  two\nempty:\ntilde: ~\n", ["data": "one\ntwo\n", "empty": .null, "tilde": .null]),
      ("long: >-\n  a\n  b\nno: False\n---\nother: document\n", ["long": "a b", "no": false]),
    ] as [(String, JSONValue)])
  func yamlBecomesTheSameValueAsJSON(_ text: String, _ value: JSONValue) throws {
    #expect(try parse(text) == value)
  }

  @Test(arguments: [
    ("a: [1", "line 2"), ("a: b: c", "line 1, column 5"), ("\ta: b", "line 1"), ("a: *nobody", "undefined alias"),
    ("[a]: b", "a key that is no text at line 1"),
  ])
  func errorsDescribeInvalidYAML(_ text: String, _ words: String) throws {
    let error = try #require(throws: YAMLError.self) { try parse(text) }
    #expect("\(error)".contains(words), "\(error)")
  }

  /// A few lines of aliases can mean an astronomical number of values, or a value that contains itself.
  @Test func recursiveAndExplodingAliasesAreRefused() throws {
    let bomb = (1..<30).map { "a\($0): &a\($0) [*a\($0 - 1), *a\($0 - 1)]\n" }
    #expect(throws: YAMLError.self) { try parse("a0: &a0 [x]\n" + bomb.joined()) }
    #expect(throws: YAMLError.self) { try parse("a: &a [*a]") }
    #expect(throws: YAMLError.self) { try parse(String(repeating: "[", count: 5000)) }
  }

  /// Any bytes give a value or an error.
  @Test func anyBytesGiveAValueOrAnError() {
    var generator = SystemRandomNumberGenerator()
    let alphabet = Array("abc: -[]{}&*!|>'\"#%@`\n\t\\0é".utf8)
    for _ in 0..<2000 {
      let text = (0..<Int.random(in: 0..<60, using: &generator)).map { _ in
        alphabet.randomElement(using: &generator) ?? 0
      }
      _ = try? JSONValue(parsingYAML: text)
    }
  }
}
