package import Addresses
package import JSON

extension JSONFields {
  /// Reads a string; an empty one counts as absent, like a zero value in the reference.
  package func text(_ name: String) throws(JSONError) -> String? {
    guard let text = try string(name), !text.isEmpty else { return nil }
    return text
  }

  /// Reads an address; an empty string counts as absent.
  package func address(_ name: String) throws(JSONError) -> IPAddress? {
    guard let text = try text(name) else { return nil }
    guard let address = IPAddress(text) else {
      throw .wrongKind(field: path(of: name), expected: "an IP address", found: .string(text))
    }
    return address
  }

  /// Reads an address with a prefix length; an empty string counts as absent.
  package func prefix(_ name: String) throws(JSONError) -> IPPrefix? {
    guard let text = try text(name) else { return nil }
    guard let prefix = IPPrefix(text) else {
      throw .wrongKind(
        field: path(of: name), expected: "an address with a prefix length, such as 10.1.0.0/16",
        found: .string(text))
    }
    return prefix
  }

  /// Reads an integer that must fit the type.
  package func number<Number: FixedWidthInteger>(_ name: String, _ type: Number.Type) throws(JSONError)
    -> Number?
  {
    guard let integer = try integer(name) else { return nil }
    guard let number = Number(exactly: integer) else {
      throw .wrongKind(
        field: path(of: name), expected: "a number from \(Number.min) to \(Number.max)",
        found: .integer(integer))
    }
    return number
  }
}
