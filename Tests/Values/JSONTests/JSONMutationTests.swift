import JSON
import Testing
import TestSupport

@Suite struct JSONMutationTests {
  private static let samples = [
    #"{"a":[1,-2.5e3,"é\n😀",true,null,{"b":{"c":[[]]}}],"a":9223372036854775807,"":"\u00e9","z":{}}"#,
    "[0.1, 1e-300, -9223372036854775808, \"\\ud83d\\ude00\"]", " \"text\" ",
  ]

  /// A value that is accepted is written and read back equal.
  @Test(arguments: 0..<2 as Range<UInt64>) func isRefusedOrReadBackEqual(seed: UInt64) throws {
    var mutations = Mutations(of: JSONMutationTests.samples, seed: seed)
    var understood = 0
    for _ in 0..<3000 {
      let text = mutations.next()
      guard let value = try? JSONValue(parsing: text) else { continue }
      understood += 1
      let again = try value.text()
      #expect(try JSONValue(parsing: Array(again.utf8)) == value, "\(again)")
      _ = value.excerpt
    }
    #expect(understood > 100)
  }
}
