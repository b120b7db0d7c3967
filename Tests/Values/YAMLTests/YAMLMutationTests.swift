import JSON
import Testing
import TestSupport
import YAML

@Suite struct YAMLMutationTests {
  private static let samples = [
    """
    apiVersion: v1
    current-context: &x x
    contexts:
    - {name: *x, context: {cluster: c, user: "u\\u00e9"}}
    clusters:
    - name: c
      cluster: {server: 'https://192.0.2.1:6443', certificate-authority-data: |
        QUJD
        }
    """, "{\"a\": [1, true, null]}", "a: &a [x, y]\nb: {<<: *a, c: *a}\n? k\n: >-\n  long\n  text\n",
  ]

  @Test(arguments: 0..<2 as Range<UInt64>) func isRefusedOrBecomesJSON(seed: UInt64) throws {
    var mutations = Mutations(of: YAMLMutationTests.samples, seed: seed)
    var understood = 0
    for _ in 0..<1500 {
      guard let value = try? JSONValue(parsingYAML: mutations.next()) else { continue }
      understood += 1
      // Only a name with a NUL cannot be written; of two members of one name the last one is kept.
      guard let text = try? value.text() else { continue }
      let once = try JSONValue(parsing: Array(text.utf8))
      #expect(try JSONValue(parsing: Array(once.text().utf8)) == once, "\(text)")
    }
    #expect(understood > 100)
  }

  /// Thousands of aliases of a text of some megabytes would fill the memory.
  @Test func manyAliasesOfALongTextAreRefused() {
    let long = String(repeating: "x", count: 1 << 20)
    let text = "a: &a \(long)\nb: [" + String(repeating: "*a,", count: 50_000) + "]"
    #expect(throws: YAMLError.excessive(line: 1)) { try JSONValue(parsingYAML: Array(text.utf8)) }
    #expect(throws: Never.self) { try JSONValue(parsingYAML: Array("a: &a \(long)\nb: [*a, *a, *a]".utf8)) }
  }
}
