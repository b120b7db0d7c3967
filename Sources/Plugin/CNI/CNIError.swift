package import JSON

/// The error that a plugin writes in place of a result (SPEC, "Error").
package struct CNIError: Error, Sendable, Equatable, CustomStringConvertible {
  /// An error code of SPEC or of the reference library; codes from 100 on are a plugin's own.
  package struct Code: RawRepresentable, Sendable, Equatable {
    /// The number.
    package let rawValue: UInt32

    /// A code from its number.
    package init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// The plugin does not support the version.
    package static let incompatibleVersion = Code(rawValue: 1)
    /// A field of the configuration is not supported.
    package static let unsupportedField = Code(rawValue: 2)
    /// An environment variable is missing or invalid.
    package static let invalidEnvironment = Code(rawValue: 4)
    /// Input or output failed.
    package static let ioFailure = Code(rawValue: 5)
    /// The configuration or a result cannot be decoded.
    package static let decodingFailure = Code(rawValue: 6)
    /// The configuration is invalid.
    package static let invalidConfiguration = Code(rawValue: 7)
    /// The namespace is invalid (in the reference library only).
    package static let invalidNamespace = Code(rawValue: 8)
    /// The runtime should try again later.
    package static let tryAgainLater = Code(rawValue: 11)
    /// STATUS: the plugin cannot serve ADD.
    package static let unavailable = Code(rawValue: 50)
    /// CHECK found a difference from what ADD created.
    package static let notAsMade = Code(rawValue: 100)
    /// Any error without a code of its own.
    package static let failed = Code(rawValue: 999)
  }

  /// The code (`code`).
  package let code: Code
  /// A short description (`msg`).
  package let message: String
  /// A longer description (`details`); empty if there is none.
  package let details: String

  /// An error from its fields.
  package init(_ code: Code, _ message: String, details: String = "") {
    self.code = code
    self.message = message
    self.details = details
  }

  /// Message and details, separated by a semicolon.
  package var description: String {
    details.isEmpty ? message : "\(message); \(details)"
  }

  /// Reads the error that another plugin wrote to its standard output; `nil` if the value is no error.
  package init?(_ json: JSONValue) {
    guard let object = json.object, case .integer(let code) = object["code"], let code = UInt32(exactly: code)
    else { return nil }
    self.init(
      Code(rawValue: code), object["msg"]?.string ?? "", details: object["details"]?.string ?? "")
  }

  /// The error as JSON, without `cniVersion`.
  package var json: JSONValue {
    var object: JSONObject = ["code": .integer(Int64(code.rawValue)), "msg": .string(message)]
    if !details.isEmpty { object["details"] = .string(details) }
    return .object(object)
  }
}
