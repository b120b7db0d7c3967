package import JSON

/// What a plugin answers instead of a result (SPEC, "Error").
package struct CNIError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The codes of SPEC's table and of the reference's library; from 100 on they are a plugin's own.
  package struct Code: RawRepresentable, Sendable, Equatable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    package static let incompatibleVersion = Code(rawValue: 1)
    package static let unsupportedField = Code(rawValue: 2)
    package static let invalidEnvironment = Code(rawValue: 4)
    package static let ioFailure = Code(rawValue: 5)
    package static let decodingFailure = Code(rawValue: 6)
    package static let invalidConfiguration = Code(rawValue: 7)
    /// In the reference's library only.
    package static let invalidNamespace = Code(rawValue: 8)
    package static let tryAgainLater = Code(rawValue: 11)
    package static let unavailable = Code(rawValue: 50)
    /// CHECK found something other than what ADD made.
    package static let notAsMade = Code(rawValue: 100)
    /// Anything that has no code of its own.
    package static let failed = Code(rawValue: 999)
  }

  package let code: Code
  package let message: String
  /// More words, empty where there are none.
  package let details: String

  package init(_ code: Code, _ message: String, details: String = "") {
    self.code = code
    self.message = message
    self.details = details
  }

  package var description: String {
    details.isEmpty ? message : "\(message); \(details)"
  }

  /// The error that another plugin wrote to its standard output; `nil` where that is none.
  package init?(_ json: JSONValue) {
    guard let object = json.object, case .integer(let code) = object["code"], let code = UInt32(exactly: code)
    else { return nil }
    self.init(
      Code(rawValue: code), object["msg"]?.string ?? "", details: object["details"]?.string ?? "")
  }

  /// The error as it is written to standard output.
  package var json: JSONValue {
    var object: JSONObject = ["code": .integer(Int64(code.rawValue)), "msg": .string(message)]
    if !details.isEmpty { object["details"] = .string(details) }
    return .object(object)
  }
}
