/// Why a text is not the JSON that was asked for.
package enum JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Not JSON at all; lines and columns count from 1, as libjansson reports them.
  case malformed(reason: String, line: Int, column: Int)
  /// A member holds another kind of value than it must; `field` is its path, like `ipam.ranges[0].subnet`.
  case wrongKind(field: String, expected: String, found: JSONValue)
  /// A member that must be there is absent.
  case missing(field: String)
  /// libjansson could not build the text, for want of memory or because a string is not UTF-8.
  case unencodable

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
  /// A short form for messages: the value itself, cut where it is long.
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
