/// Errors of reading and writing JSON.
package enum JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The text is not JSON. Line and column count from 1, as libjansson reports them.
  case malformed(reason: String, line: Int, column: Int)
  /// A member has a value of the wrong kind; `field` is its path, such as `ipam.ranges[0].subnet`.
  case wrongKind(field: String, expected: String, found: JSONValue)
  /// A required member is missing.
  case missing(field: String)
  /// libjansson cannot build the text: no memory is left, or a string is not UTF-8.
  case unencodable

  /// The error, for messages.
  package var description: String {
    switch self {
    case .malformed(let reason, let line, let column): "\(reason) at line \(line), column \(column)"
    case .wrongKind(let field, let expected, let found):
      "\(field) must be \(expected), but is \(found.excerpt)"
    case .missing(let field): "\(field) is missing"
    case .unencodable: "the value cannot be written as JSON"
    }
  }
}

extension JSONValue {
  /// A short form of the value for messages, truncated if it is long.
  package var excerpt: String {
    switch self {
    case .null, .array, .object: kind
    case .bool(let bool): bool ? "true" : "false"
    case .integer(let integer): String(integer)
    case .real(let real): String(real)
    case .string(let string): string.utf8.count <= 64 ? "\"\(string)\"" : "\"\(string.prefix(60))…\""
    }
  }
}
