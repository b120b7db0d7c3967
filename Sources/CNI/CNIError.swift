package import JSON

/// What a plugin answers instead of a result (SPEC, "Error").
package struct CNIError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The codes of SPEC's table and of the reference's library; from 100 on they are a plugin's own.
  package enum Code: UInt32, Sendable {
    case incompatibleVersion = 1
    case unsupportedField = 2
    case unknownContainer = 3
    case invalidEnvironment = 4
    case ioFailure = 5
    case decodingFailure = 6
    case invalidConfiguration = 7
    /// In the reference's library only.
    case invalidNamespace = 8
    case tryAgainLater = 11
    case unavailable = 50
    /// CHECK found something other than what ADD made.
    case notAsMade = 100
    /// Anything that has no code of its own.
    case failed = 999
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

  /// The error as it is written to standard output.
  package var json: JSONValue {
    var object: JSONObject = ["code": .integer(Int64(code.rawValue)), "msg": .string(message)]
    if !details.isEmpty { object["details"] = .string(details) }
    return .object(object)
  }
}
