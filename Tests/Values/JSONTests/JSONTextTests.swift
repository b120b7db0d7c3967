import JSON
import Testing

private func parse(_ text: String) throws(JSONError) -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

@Suite struct JSONTextTests {
  @Test(
    arguments: [
      ("null", JSONValue.null), (" true ", true), ("-7", -7), ("9223372036854775807", .integer(.max)),
      ("-9223372036854775808", .integer(.min)), ("1.0", .real(1)), ("1e3", .real(1000)), (#""""#, ""),
      (#""\u00e9\n\ud83d\ude00/\/""#, "é\n😀//"), ("[]", []), ("[1, [2], {}]", [1, [2], [:]]),
      (#"{"a": null, "B": [false]}"#, ["a": .null, "B": [false]]),
    ] as [(String, JSONValue)])
  func reads(_ text: String, _ value: JSONValue) throws {
    #expect(try parse(text) == value)
    #expect(try parse(value.text()) == value)
    #expect(try parse(value.text(.indented(4))) == value)
  }

  @Test(arguments: [
    "", " ", "nul", "{", "}", "[1,]", "{\"a\":1,}", "{a:1}", "{'a':1}", "1 2", "{} {}", "01", "+1", ".5", "1.", "0x10",
    "NaN",
    "9223372036854775808", "-9223372036854775809", "1e999", "\"\\u0000\"", "\"\\ud800\"", "\"\\x\"", "\"a", "\"a\nb\"",
    "// c\n1", "\u{FEFF}{}", "{\"\\u0000\": 1}", "1\u{0}", "1\u{0}2", "\u{0}",
  ])
  func refuses(_ text: String) {
    #expect(throws: JSONError.self) { try parse(text) }
  }

  @Test func refusesInvalidUTF8() {
    #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xC3, 0x28, 0x22]) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xED, 0xA0, 0x80, 0x22]) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: [0x00]) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: []) }
  }

  @Test func errorsGiveThePosition() throws {
    let error = #expect(throws: JSONError.self) { try parse("{\n  \"a\": 1\n  \"b\": 2\n}") }
    guard case .malformed(_, let line, _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(line == 3)
    #expect(error?.description.contains("line 3") == true)
  }

  @Test func errorsGiveThePositionOfANUL() {
    #expect(throws: JSONError.malformed(reason: "a NUL byte", line: 2, column: 3)) { try parse("{\n} \u{0}x") }
  }

  /// Deep nesting must be refused, not overflow the stack.
  @Test(arguments: ["[", "{\"a\":"]) func limitsTheDepth(_ opening: String) throws {
    #expect(throws: JSONError.self) { try parse(String(repeating: opening, count: 1_000_000)) }
    let deep = String(repeating: "[", count: 2000) + String(repeating: "]", count: 2000)
    #expect(try parse(deep).array?.count == 1)
  }

  @Test func theLastDuplicateMemberCounts() throws {
    #expect(try parse(#"{"a": 1, "a": 2}"#).object?["a"] == 2)
  }

  @Test func membersKeepTheirOrder() throws {
    let text = #"{"z":1,"a":2,"M":{"y":[],"b":null}}"#
    #expect(try parse(text).text() == text)
    #expect(try parse("{\"a\":[1]}").text(.indented(2)) == "{\n  \"a\": [\n    1\n  ]\n}")
  }

  @Test func everyStringIsReadBackEqual() throws {
    let text = "\u{1}\u{1F}\"\\/\u{7F}\u{80}\u{2028}é😀"
    #expect(try parse(JSONValue.string(text).text()) == .string(text))
  }

  @Test func valuesThatCannotBeWrittenAreNamed() {
    #expect(throws: JSONError.unencodable) { try JSONValue.real(.nan).text() }
    #expect(throws: JSONError.unencodable) { try JSONValue.real(.infinity).text() }
    #expect(throws: JSONError.unencodable) { try JSONValue.array([.real(.nan)]).text() }
    #expect(throws: JSONError.unencodable) { try JSONValue.object(["a\u{0}b": 1]).text() }
  }

  @Test func readsALargeText() throws {
    let value = JSONValue.array((0..<100_000).map { ["index": .integer($0), "name": "node"] })
    #expect(try parse(value.text()) == value)
  }
}
