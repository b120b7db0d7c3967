import CNI
import JSON
import Testing

@Suite struct CNIErrorTests {
  @Test func emptyDetailsAreOmitted() throws {
    let plain = CNIError(.tryAgainLater, "no lease")
    #expect(plain.description == "no lease")
    #expect(try plain.json.text() == #"{"code":11,"msg":"no lease"}"#)
    let detailed = CNIError(.unsupportedField, "vlan = 7", details: "remove it")
    #expect(detailed.description == "vlan = 7; remove it")
    #expect(
      try detailed.json.text(.indented(4))
        == """
        {
            "code": 2,
            "msg": "vlan = 7",
            "details": "remove it"
        }
        """)
  }

  @Test func quotesAndControlCharactersAreEscaped() throws {
    let error = CNIError(.failed, "a \"b\"\n\u{7}", details: "é\u{1F600}")
    #expect(try fields(error.json.text()).string("msg") == error.message)
    #expect(try fields(error.json.text()).string("details") == error.details)
  }

  @Test(arguments: [
    (CNIError.Code.incompatibleVersion, UInt32(1)), (.unsupportedField, 2), (.invalidEnvironment, 4), (.ioFailure, 5),
    (.decodingFailure, 6), (.invalidConfiguration, 7),
    (.invalidNamespace, 8), (.tryAgainLater, 11), (.unavailable, 50), (.notAsMade, 100), (.failed, 999),
  ])
  func codesAreThoseOfTheSpecification(code: CNIError.Code, number: UInt32) {
    #expect(code.rawValue == number)
  }

  /// Texts that a delegate may write to its standard output.
  @Test(arguments: [
    (#"{"code": 107, "msg": "a", "details": "b"}"#, CNIError(.init(rawValue: 107), "a", details: "b")),
    (#"{"cniVersion": "1.0.0", "code": 11}"#, CNIError(.tryAgainLater, "")),
    (#"{"msg": "a"}"#, nil), (#"{"code": "7"}"#, nil), (#"{"code": -1}"#, nil), (#"{"code": 4294967296}"#, nil),
    ("[]", nil), (#"{"code": 7, "msg": 5, "details": null}"#, CNIError(.invalidConfiguration, "")),
  ])
  func anotherPluginsErrorIsRead(text: String, expected: CNIError?) throws {
    #expect(try CNIError(JSONValue(parsing: Array(text.utf8))) == expected)
  }
}
