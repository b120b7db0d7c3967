/// A JSON document or a part of one (RFC 8259).
///
/// Integers and reals are separate cases, as in libjansson, so that 64-bit integers keep all digits.
package enum JSONValue: Equatable, Sendable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number without fraction and exponent.
  case integer(Int64)
  /// A number with fraction or exponent.
  case real(Double)
  /// A string.
  case string(String)
  /// An array.
  case array([JSONValue])
  /// An object.
  case object(JSONObject)
}

/// The members of a JSON object, in the order of the text.
///
/// A lookup ignores case and takes the last match, as in Go's encoding/json. Runtimes and users rely on that: go-cni
/// sends `HostPort`, and users of flannel write `Directrouting`.
package struct JSONObject: Equatable, Sendable, ExpressibleByDictionaryLiteral {
  /// A name and its value.
  package struct Member: Equatable, Sendable {
    /// Name as the text contains it.
    package var name: String
    /// Value of the member.
    package var value: JSONValue

    /// Makes a member.
    package init(name: String, value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// All members, in order.
  package private(set) var members: [Member]

  /// Makes an object of members in their order.
  package init(_ members: [Member] = []) {
    self.members = members
  }

  /// Makes an object of a literal, with members in its order.
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    members = elements.map { Member(name: $0.0, value: $0.1) }
  }

  /// Value of the last member with a name, in any case; `nil` if there is none.
  ///
  /// Setting a value replaces all such members by one; setting `nil` removes them.
  package subscript(name: String) -> JSONValue? {
    get { members.last { JSONObject.matches($0.name, name) }?.value }
    set {
      let position = members.firstIndex { JSONObject.matches($0.name, name) }
      members.removeAll { JSONObject.matches($0.name, name) }
      guard let newValue else { return }
      members.insert(Member(name: name, value: newValue), at: min(position ?? members.count, members.count))
    }
  }

  /// Compares names without regard to the case of ASCII letters; names of CNI and flannel are ASCII.
  private static func matches(_ left: String, _ right: String) -> Bool {
    let left = left.utf8
    let right = right.utf8
    guard left.count == right.count else { return false }
    return zip(left, right).allSatisfy { folded($0) == folded($1) }
  }

  private static func folded(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
  }
}

extension JSONValue {
  /// The object; `nil` if this is another kind of value.
  package var object: JSONObject? {
    if case .object(let object) = self { object } else { nil }
  }

  /// The elements; `nil` if this is not an array.
  package var array: [JSONValue]? {
    if case .array(let array) = self { array } else { nil }
  }

  /// The text; `nil` if this is not a string.
  package var string: String? {
    if case .string(let string) = self { string } else { nil }
  }

  /// Kind of the value for messages: "a string", "an object", ….
  package var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .real: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// Makes a string.
  package init(stringLiteral value: String) { self = .string(value) }
  /// Makes a boolean.
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  /// Makes an integer.
  package init(integerLiteral value: Int64) { self = .integer(value) }
  /// Makes an array.
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// Makes an object.
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(JSONObject(elements.map { JSONObject.Member(name: $0.0, value: $0.1) }))
  }
}
