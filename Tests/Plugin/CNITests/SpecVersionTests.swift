import CNI
import Testing

@Suite struct SpecVersionTests {
  @Test(arguments: [
    ("", "0.1.0"), ("1", "1.0.0"), ("1.1", "1.1.0"), ("0.3.1", "0.3.1"), ("0.10.0", "0.10.0"), ("01.0.0", "1.0.0"),
  ])
  func oneToThreeNumbersAreAVersion(text: String, version: String) {
    #expect(SpecVersion(text)?.description == version)
  }

  @Test(arguments: [
    "1.0.0.0", "1..0", ".", "1.", ".1", "x", "1.x", "v1.0.0", "1.0.0-rc1", "-1.0.0", "+1.0.0", " 1.0.0", "1,0",
    "99999999999999999999.0.0", "1.0.\u{0661}",
  ])
  func otherTextsAreNoVersion(text: String) {
    #expect(SpecVersion(text) == nil)
  }

  @Test func versionsAreOrderedByNumberNotByText() {
    #expect(SpecVersion.supported == SpecVersion.supported.sorted())
    #expect(SpecVersion(0, 9, 0) < SpecVersion(0, 10, 0))
    #expect(SpecVersion(0, 10, 0) < SpecVersion(1, 0, 0))
    #expect(!(SpecVersion(1, 0, 0) < SpecVersion(1, 0, 0)))
  }

  @Test func sevenVersionsAreSupported() {
    #expect(
      SpecVersion.supported.map(\.description) == ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
    #expect(SpecVersion.current == SpecVersion.supported.last)
  }
}
