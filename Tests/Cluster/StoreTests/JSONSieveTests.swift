import JSON
@testable import KubernetesStore
import Testing

@Suite struct JSONSieveTests {
  private static let shape = JSONSieve.Shape.members([
    "kind": .all, "meta": .members(["name": .all, "labels": .all]), "items": .elements(.members(["id": .all])),
  ])

  /// Pieces of a text that arrives in parts of a size.
  private func pieces(_ text: String, parts size: Int) throws -> [String] {
    var sieve = JSONSieve(JSONSieveTests.shape)
    let bytes = Array(text.utf8)
    var found: [String] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      found += try sieve.add(Array(bytes[start..<min(start + size, bytes.count)])).map { piece in
        (piece.isElement ? "- " : "") + String(decoding: piece.text, as: UTF8.self)
      }
    }
    return found + (sieve.isBetweenTexts ? [] : ["…"])
  }

  @Test(arguments: [
    (#"{"kind":"A"}"#, [#"{"kind":"A"}"#]), ("{}\n{}", ["{}", "{}"]), (#"{"x":{"kind":[1,{"a":"}"}]}}"#, ["{}"]),
    (
      #" { "x" : 1 , "kind" : "\"}," , "y":[{}], "meta" : {"uid":"u","name":"n" , "labels":{"a":[1, 2]},"z":-1e5 } }"#,
      [#"{"kind":"\"},","meta":{"name":"n","labels":{"a":[1, 2]}}}"#]
    ),
    (
      #"{"items":[{"id":1,"x":"]"},{"x":{"id":9}},{"id":{"id":2}} ],"kind":null}{"items":[]}"#,
      ["- {\"id\":1}", "- {}", "- {\"id\":{\"id\":2}}", #"{"items":[],"kind":null}"#, #"{"items":[]}"#]
    ),
    // A value of another kind than expected is kept, and its reader reports it.
    (#"{"meta":"no","items":null,"kind":7 }"#, [#"{"meta":"no","items":null,"kind":7}"#]),
    (#"{"items":[3,[4],"x"]}"#, ["- 3", "- [4]", "- \"x\"", #"{"items":[]}"#]),
    (#"{"kind":"é\\","meta":{}}"#, [#"{"kind":"é\\","meta":{}}"#]),
    (#"{"kind":"A""#, ["…"]), (#"{"x":{"a":1}"#, ["…"]), ("{", ["…"]), ("", []), ("  \n ", []),
  ])
  func membersOfTheShapeAreKeptForEverySizeOfParts(_ text: String, _ expected: [String]) throws {
    for size in [1, 2, 3, 7, 1000] { #expect(try pieces(text, parts: size) == expected, "\(size)") }
  }

  @Test(arguments: [
    "<html>", "404 page not found", "[]", "\"x\"", "}", #"{"a" 1}"#, #"{"kind"}"#, #"{"kind":}"#, "{1:2}",
    #"{"kind":1]"#, #"{"kind":1,}"#,
  ])
  func textThatIsNoObjectIsRefused(_ text: String) {
    #expect(throws: JSONSieveError.self) { try pieces(text, parts: 3) }
  }

  @Test func sizeOfKeptTextIsLimited() throws {
    var sieve = JSONSieve(JSONSieveTests.shape, limit: 1000)
    let long = Array(repeating: UInt8(ascii: "x"), count: 600)
    _ = try sieve.add(Array(#"{"junk":""#.utf8) + long + long + Array(#"","kind":""#.utf8) + long)
    #expect(throws: JSONSieveError.tooLong(limitBytes: 1000)) { try sieve.add(long) }
  }

  /// A parser reads the same values from the pieces as from the complete text.
  @Test func keptValuesEqualThoseOfAParser() throws {
    var generator = SystemRandomNumberGenerator()
    func value(_ depth: Int) -> JSONValue {
      switch Int.random(in: 0..<(depth > 3 ? 4 : 6), using: &generator) {
      case 0: return .null
      case 1: return .integer(Int64.random(in: -5...5, using: &generator))
      case 2: return .bool(.random(using: &generator))
      case 3: return .string(["", "a\"b", "\\", "{", "]}", "é\n", "kind"].randomElement(using: &generator) ?? "")
      case 4: return .array((0..<Int.random(in: 0..<4, using: &generator)).map { _ in value(depth + 1) })
      default:
        let names = ["kind", "meta", "items", "name", "id", "x"].shuffled(using: &generator)
        return .object(
          JSONObject(
            names.prefix(Int.random(in: 0..<6, using: &generator)).map { .init(name: $0, value: value(depth + 1)) }))
      }
    }
    for _ in 0..<500 {
      let whole: JSONValue = ["kind": value(0), "other": value(0), "items": .array([value(1), value(1)])]
      let text = try whole.text(Bool.random(using: &generator) ? .compact : .indented(2))
      let found = try pieces(text, parts: Int.random(in: 1..<40, using: &generator))
      let root = try #require(try JSONValue(parsing: Array((found.last ?? "").utf8)).object)
      #expect(root["kind"] == whole.object?["kind"], "\(text)")
      #expect(found.count == 3 && root["other"] == nil, "\(text)")
    }
  }
}
