import JSON
import Testing

@Suite struct JSONFieldsTests {
  private let fields: JSONFields

  init() throws {
    let text = #"""
      {"name": "a", "on": true, "count": 3, "real": 3.5, "none": null, "list": ["x", "y"], "mixed": ["x", 1],
       "ipam": {"ranges": [{"subnet": "s"}, {"subnet": 7}], "odd": [{}, 1]}, "Mixed-Case": 1, "twice": 1, "TWICE": 2}
      """#
    fields = try JSONFields(document: JSONValue(parsing: Array(text.utf8)), name: "the file")
  }

  @Test func readsValuesOfEachKind() throws {
    #expect(try fields.string("name") == "a")
    #expect(try fields.bool("on") == true)
    #expect(try fields.integer("count") == 3)
    #expect(try fields.strings("list") == ["x", "y"])
    #expect(try fields.fields("ipam")?.list("ranges")?.first?.string("subnet") == "s")
  }

  @Test(arguments: ["none", "absent", ""]) func nullIsAbsent(_ name: String) throws {
    #expect(fields.value(name) == nil)
    #expect(try fields.string(name) == nil)
    #expect(try fields.bool(name) == nil)
    #expect(try fields.integer(name) == nil)
    #expect(try fields.strings(name) == nil)
    #expect(try fields.fields(name) == nil)
    #expect(try fields.list(name) == nil)
    #expect(try fields.array(name) == nil)
  }

  /// As in Go's encoding/json, which runtimes write configurations with.
  @Test func namesFoldCaseAndTheLastDuplicateCounts() throws {
    #expect(try fields.integer("mixed-case") == 1)
    #expect(try fields.integer("MIXED-CASE") == 1)
    #expect(try fields.integer("twice") == 2)
    #expect(try JSONFields(["É": 1]).integer("é") == nil)
  }

  @Test func errorsNameFieldValueAndKind() {
    #expect(message { _ = try $0.string("count") } == "count must be a string, but is 3")
    #expect(message { _ = try $0.bool("name") } == "name must be true or false, but is \"a\"")
    #expect(message { _ = try $0.integer("real") } == "real must be a whole number, but is 3.5")
    #expect(message { _ = try $0.strings("mixed") } == "mixed[1] must be a string, but is 1")
    #expect(message { _ = try $0.fields("list") } == "list must be an object, but is an array")
    #expect(message { _ = try $0.array("ipam") } == "ipam must be an array, but is an object")
    #expect(message { _ = try $0.fields("ipam")?.list("odd") } == "ipam.odd[1] must be an object, but is 1")
    #expect(
      message { _ = try $0.fields("ipam")?.list("ranges")?.last?.string("subnet") }
        == "ipam.ranges[1].subnet must be a string, but is 7")
  }

  @Test func aDocumentMustBeAnObject() {
    let error = #expect(throws: JSONError.self) { _ = try JSONFields(document: [1], name: "nodes.json") }
    #expect(error?.description == "nodes.json must be a JSON object, but is an array")
  }

  @Test func longValuesAreCutInMessages() {
    let excerpt = JSONValue.string(String(repeating: "é", count: 100_000)).excerpt
    #expect(excerpt.utf8.count < 200)
    #expect(excerpt.hasSuffix("…\""))
  }

  @Test func settingReplacesEveryMatch() {
    var object: JSONObject = ["a": 1, "A": 2, "b": 3]
    object["a"] = 9
    #expect(object == ["a": 9, "b": 3])
    object["B"] = nil
    #expect(object == ["a": 9])
    object["c"] = .null
    #expect(object == ["a": 9, "c": .null])
  }

  private func message(_ body: (JSONFields) throws -> Void) -> String? {
    do { try body(fields) } catch { return "\(error)" }
    return nil
  }
}
