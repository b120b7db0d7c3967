@testable import EtcdStore
@testable import StoreTransport
import Testing

@Suite struct Base64Tests {
  /// RFC 4648 section 10.
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
    ("foobar", "Zm9vYmFy"),
  ])
  func testVectorsOfRFC4648(text: String, encoded: String) {
    #expect(Base64.encode(text) == encoded)
    #expect(Base64.decode(encoded) == Array(text.utf8))
  }

  @Test func everyByteIsDecodedUnchanged() {
    for length in 0..<70 {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 37 + length) }
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
    #expect(Base64.decode(Base64.encode(Array(0...255))) == Array(0...255))
  }

  @Test(arguments: ["Zg", "Zg=", "Z===", "Zg==Zg==", "Zm9\n", "Zm9-", "====", "Zm=v", "é==="])
  func invalidBase64IsRefused(_ text: String) {
    #expect(Base64.decode(text) == nil)
  }
}

@Suite struct LineSplitterTests {
  @Test(arguments: 1...7)
  func linesAreCompleteForEverySizeOfParts(size: Int) throws {
    let text = Array("one\n\ntwo\nthree and more\nrest".utf8)
    var splitter = LineSplitter(limit: 100)
    var lines: [String] = []
    for start in stride(from: 0, to: text.count, by: size) {
      for line in try splitter.add(Array(text[start..<min(start + size, text.count)])) {
        lines.append(String(decoding: line, as: UTF8.self))
      }
    }
    #expect(lines == ["one", "two", "three and more"])
    #expect(splitter.rest == Array("rest".utf8))
  }

  @Test func lineBeyondTheLimitIsRefused() throws {
    var splitter = LineSplitter(limit: 8)
    #expect(try splitter.add(Array("12345678\n1234".utf8)).count == 1)
    #expect(throws: LineTooLong.self) { try splitter.add(Array("56789".utf8)) }
    var other = LineSplitter(limit: 8)
    #expect(throws: LineTooLong.self) { try other.add(Array("123456789\n".utf8)) }
  }
}
