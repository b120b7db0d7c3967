/// A JSON document or a part of one (RFC 8259).
///
/// Integers are kept apart from reals, as libjansson does: a 64-bit integer never loses a digit.
package enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  case real(Double)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)
}

/// The members of a JSON object, in the order of the text.
///
/// A look-up folds case and takes the last match, as Go's encoding/json does; runtimes and people rely on it
/// (go-cni sends `HostPort`, flannel users write `Directrouting`).
package struct JSONObject: Equatable, Sendable, ExpressibleByDictionaryLiteral {
  /// One name and its value.
  package struct Member: Equatable, Sendable {
    package var name: String
    package var value: JSONValue

    package init(name: String, value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// All members, in order.
  package private(set) var members: [Member]

  package init(_ members: [Member] = []) {
    self.members = members
  }

  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    members = elements.map { Member(name: $0.0, value: $0.1) }
  }

  /// The value of the last member whose name is `name` in any case, `nil` where there is none.
  ///
  /// Setting replaces every such member by one; setting `nil` removes them.
  package subscript(name: String) -> JSONValue? {
    get { members.last { JSONObject.matches($0.name, name) }?.value }
    set {
      let position = members.firstIndex { JSONObject.matches($0.name, name) }
      members.removeAll { JSONObject.matches($0.name, name) }
      guard let newValue else { return }
      members.insert(Member(name: name, value: newValue), at: min(position ?? members.count, members.count))
    }
  }

  /// Equality in which only ASCII letters fold; what CNI and flannel name is ASCII.
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
  /// The members, where this is an object.
  package var object: JSONObject? {
    if case .object(let object) = self { object } else { nil }
  }

  /// The elements, where this is an array.
  package var array: [JSONValue]? {
    if case .array(let array) = self { array } else { nil }
  }

  /// The text, where this is a string.
  package var string: String? {
    if case .string(let string) = self { string } else { nil }
  }

  /// What kind of value this is, for messages: "a string", "an object", ….
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
  package init(stringLiteral value: String) { self = .string(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(integerLiteral value: Int64) { self = .integer(value) }
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(JSONObject(elements.map { JSONObject.Member(name: $0.0, value: $0.1) }))
  }
}
