/// Typed reading of an object's members; every error names the member by its path and shows the value found.
///
/// `null` counts as absent, as Go's encoding/json has it.
package struct JSONFields: Sendable {
  package let object: JSONObject
  /// The path of this object inside its document; empty at the top.
  package let path: String

  package init(_ object: JSONObject, path: String = "") {
    self.object = object
    self.path = path
  }

  /// The fields of a whole document, which must be an object; `name` says what the document is.
  package init(document: JSONValue, name: String) throws(JSONError) {
    guard case .object(let object) = document else {
      throw .wrongKind(field: name, expected: "a JSON object", found: document)
    }
    self.init(object)
  }

  /// The path of a member, as messages name it.
  package func path(of name: String) -> String {
    path.isEmpty ? name : "\(path).\(name)"
  }

  /// The member, `nil` where it is absent or null.
  package func value(_ name: String) -> JSONValue? {
    switch object[name] {
    case nil, .null: nil
    case .some(let value): value
    }
  }

  package func string(_ name: String) throws(JSONError) -> String? {
    guard let value = value(name) else { return nil }
    guard case .string(let string) = value else { throw wrongKind(name, "a string", value) }
    return string
  }

  package func bool(_ name: String) throws(JSONError) -> Bool? {
    guard let value = value(name) else { return nil }
    guard case .bool(let bool) = value else { throw wrongKind(name, "true or false", value) }
    return bool
  }

  package func integer(_ name: String) throws(JSONError) -> Int64? {
    guard let value = value(name) else { return nil }
    guard case .integer(let integer) = value else { throw wrongKind(name, "a whole number", value) }
    return integer
  }

  package func fields(_ name: String) throws(JSONError) -> JSONFields? {
    guard let value = value(name) else { return nil }
    guard case .object(let object) = value else { throw wrongKind(name, "an object", value) }
    return JSONFields(object, path: path(of: name))
  }

  package func array(_ name: String) throws(JSONError) -> [JSONValue]? {
    guard let value = value(name) else { return nil }
    guard case .array(let array) = value else { throw wrongKind(name, "an array", value) }
    return array
  }

  package func strings(_ name: String) throws(JSONError) -> [String]? {
    guard let array = try array(name) else { return nil }
    var strings: [String] = []
    for (index, value) in array.enumerated() {
      guard case .string(let string) = value else {
        throw wrongKind("\(name)[\(index)]", "a string", value)
      }
      strings.append(string)
    }
    return strings
  }

  /// The objects of an array, each with its own path (`nodes[3]`).
  package func list(_ name: String) throws(JSONError) -> [JSONFields]? {
    guard let array = try array(name) else { return nil }
    return try objects(array, name)
  }

  /// The objects of an array of arrays, each with its own path (`ranges[0][1]`).
  package func lists(_ name: String) throws(JSONError) -> [[JSONFields]]? {
    guard let array = try array(name) else { return nil }
    var lists: [[JSONFields]] = []
    for (index, value) in array.enumerated() {
      guard case .array(let inner) = value else {
        throw wrongKind("\(name)[\(index)]", "an array of objects", value)
      }
      lists.append(try objects(inner, "\(name)[\(index)]"))
    }
    return lists
  }

  private func objects(_ array: [JSONValue], _ name: String) throws(JSONError) -> [JSONFields] {
    var objects: [JSONFields] = []
    for (index, value) in array.enumerated() {
      guard case .object(let object) = value else {
        throw wrongKind("\(name)[\(index)]", "an object", value)
      }
      objects.append(JSONFields(object, path: "\(path(of: name))[\(index)]"))
    }
    return objects
  }

  private func wrongKind(_ name: String, _ expected: String, _ found: JSONValue) -> JSONError {
    .wrongKind(field: path(of: name), expected: expected, found: found)
  }
}
