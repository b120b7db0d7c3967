/// Typed access to an object's members. Every error contains the path of the member and the value found.
///
/// `null` counts as absent, as in Go's encoding/json.
package struct JSONFields: Sendable {
  /// The object itself.
  package let object: JSONObject
  /// Path of this object within its document; empty for the document itself.
  package let path: String

  /// Makes the fields of an object at a path.
  package init(_ object: JSONObject, path: String = "") {
    self.object = object
    self.path = path
  }

  /// Makes the fields of a document.
  ///
  /// - Parameter name: what the document is, for messages.
  /// - Throws: `JSONError.wrongKind` if the document is not an object.
  package init(document: JSONValue, name: String) throws(JSONError) {
    guard case .object(let object) = document else {
      throw .wrongKind(field: name, expected: "a JSON object", found: document)
    }
    self.init(object)
  }

  /// Path of a member, for messages.
  package func path(of name: String) -> String {
    path.isEmpty ? name : "\(path).\(name)"
  }

  /// Value of a member; `nil` if it is absent or null.
  package func value(_ name: String) -> JSONValue? {
    switch object[name] {
    case nil, .null: nil
    case .some(let value): value
    }
  }

  /// Text of a member; `nil` if it is absent or null.
  ///
  /// - Throws: `JSONError.wrongKind` if the value is not a string.
  package func string(_ name: String) throws(JSONError) -> String? {
    guard let value = value(name) else { return nil }
    guard case .string(let string) = value else { throw wrongKind(name, "a string", found: value) }
    return string
  }

  /// Boolean of a member; `nil` if it is absent or null.
  ///
  /// - Throws: `JSONError.wrongKind` if the value is not a boolean.
  package func bool(_ name: String) throws(JSONError) -> Bool? {
    guard let value = value(name) else { return nil }
    guard case .bool(let bool) = value else { throw wrongKind(name, "true or false", found: value) }
    return bool
  }

  /// Integer of a member; `nil` if it is absent or null.
  ///
  /// - Throws: `JSONError.wrongKind` if the value is not an integer.
  package func integer(_ name: String) throws(JSONError) -> Int64? {
    guard let value = value(name) else { return nil }
    guard case .integer(let integer) = value else { throw wrongKind(name, "a whole number", found: value) }
    return integer
  }

  /// Object of a member; `nil` if it is absent or null.
  ///
  /// - Throws: `JSONError.wrongKind` if the value is not an object.
  package func fields(_ name: String) throws(JSONError) -> JSONFields? {
    guard let value = value(name) else { return nil }
    guard case .object(let object) = value else { throw wrongKind(name, "an object", found: value) }
    return JSONFields(object, path: path(of: name))
  }

  /// Array of a member; `nil` if it is absent or null.
  ///
  /// - Throws: `JSONError.wrongKind` if the value is not an array.
  package func array(_ name: String) throws(JSONError) -> [JSONValue]? {
    guard let value = value(name) else { return nil }
    guard case .array(let array) = value else { throw wrongKind(name, "an array", found: value) }
    return array
  }

  /// Array of strings of a member; `nil` if it is absent or null.
  ///
  /// - Throws: `JSONError.wrongKind` if the value is not an array of strings.
  package func strings(_ name: String) throws(JSONError) -> [String]? {
    guard let array = try array(name) else { return nil }
    var strings: [String] = []
    for (index, value) in array.enumerated() {
      guard case .string(let string) = value else {
        throw wrongKind("\(name)[\(index)]", "a string", found: value)
      }
      strings.append(string)
    }
    return strings
  }

  /// Array of objects of a member, each with its own path (`nodes[3]`); `nil` if it is absent or null.
  ///
  /// - Throws: `JSONError.wrongKind` if the value is not an array of objects.
  package func list(_ name: String) throws(JSONError) -> [JSONFields]? {
    guard let array = try array(name) else { return nil }
    return try objects(array, name)
  }

  /// Array of arrays of objects of a member, each object with its own path (`ranges[0][1]`); `nil` if it is absent or
  /// null.
  ///
  /// - Throws: `JSONError.wrongKind` if the value has another form.
  package func lists(_ name: String) throws(JSONError) -> [[JSONFields]]? {
    guard let array = try array(name) else { return nil }
    var lists: [[JSONFields]] = []
    for (index, value) in array.enumerated() {
      guard case .array(let inner) = value else {
        throw wrongKind("\(name)[\(index)]", "an array of objects", found: value)
      }
      lists.append(try objects(inner, "\(name)[\(index)]"))
    }
    return lists
  }

  private func objects(_ array: [JSONValue], _ name: String) throws(JSONError) -> [JSONFields] {
    var objects: [JSONFields] = []
    for (index, value) in array.enumerated() {
      guard case .object(let object) = value else {
        throw wrongKind("\(name)[\(index)]", "an object", found: value)
      }
      objects.append(JSONFields(object, path: "\(path(of: name))[\(index)]"))
    }
    return objects
  }

  private func wrongKind(_ name: String, _ expected: String, found: JSONValue) -> JSONError {
    .wrongKind(field: path(of: name), expected: expected, found: found)
  }
}
