internal import CJansson

extension JSONValue {
  /// Parses a complete JSON text (RFC 8259).
  ///
  /// The last one of duplicate members counts. Depth is limited to 2,048 and integers to 64 bits; `\u0000` is refused.
  /// libjansson's tree exists only during this call.
  ///
  /// - Throws: `JSONError.malformed`.
  package init(parsing text: [UInt8]) throws(JSONError) {
    // libjansson takes a NUL after the value as the end of the text and ignores what follows.
    if let end = text.firstIndex(of: 0) {
      let before = text[..<end]
      let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
      throw .malformed(
        reason: "a NUL byte", line: before.count { $0 == UInt8(ascii: "\n") } + 1, column: end - lineStart + 1)
    }
    JSONValue.seed
    var failure = json_error_t()
    // JSON_DECODE_ANY: a bare `null` or `3` is JSON too; the caller decides what it expects at the top level.
    let tree = unsafe text.withUnsafeBytes { bytes in
      unsafe json_loadb(bytes.baseAddress, bytes.count, Int(JSON_DECODE_ANY), &failure)
    }
    guard let tree = unsafe tree else {
      let reason = unsafe withUnsafeBytes(of: &failure.text) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      throw JSONError.malformed(reason: reason, line: Int(failure.line), column: Int(failure.column))
    }
    defer { unsafe json_decref(tree) }
    unsafe self.init(tree)
  }

  /// Seeds libjansson's hash tables, once and before it makes one. Without a seed, libjansson opens and reads
  /// `/dev/urandom`.
  private static let seed: Void = {
    var generator = SystemRandomNumberGenerator()
    json_object_seed(Int(truncatingIfNeeded: generator.next() | 1))
  }()

  /// Copies a libjansson tree, which the caller still owns.
  private init(_ node: UnsafeMutablePointer<json_t>) {
    switch unsafe node.pointee.type {
    case JSON_TRUE: self = .bool(true)
    case JSON_FALSE: self = .bool(false)
    case JSON_INTEGER: self = unsafe .integer(json_integer_value(node))
    case JSON_REAL: self = unsafe .real(json_real_value(node))
    case JSON_STRING:
      let length = unsafe json_string_length(node)
      let bytes = unsafe UnsafeRawBufferPointer(start: json_string_value(node), count: length)
      self = unsafe .string(String(decoding: bytes, as: UTF8.self))
    case JSON_ARRAY:
      let count = unsafe json_array_size(node)
      self = .array(
        (0..<count).compactMap { index in
          unsafe json_array_get(node, index).map { unsafe JSONValue($0) }
        })
    case JSON_OBJECT:
      var members: [JSONObject.Member] = []
      var iterator = unsafe json_object_iter(node)
      while let current = unsafe iterator {
        if let name = unsafe json_object_iter_key(current), let value = unsafe json_object_iter_value(current) {
          members.append(
            JSONObject.Member(name: unsafe String(cString: name), value: unsafe JSONValue(value)))
        }
        unsafe iterator = json_object_iter_next(node, current)
      }
      self = .object(JSONObject(members))
    default: self = .null
    }
  }

  /// Layout of a text.
  package enum Layout: Sendable {
    /// No white space between tokens.
    case compact
    /// One member on each line, indented by this many spaces (at most 31).
    case indented(Int)
  }

  /// Writes the value as JSON, with members in their order.
  ///
  /// - Throws: `JSONError.unencodable`.
  package func text(_ layout: Layout = .compact) throws(JSONError) -> String {
    JSONValue.seed
    guard let tree = unsafe makeTree() else { throw .unencodable }
    defer { unsafe json_decref(tree) }
    let flags =
      switch layout {
      case .compact: Int(JSON_ENCODE_ANY) | Int(JSON_COMPACT)
      // The low five bits are jansson's JSON_INDENT(n).
      case .indented(let spaces): Int(JSON_ENCODE_ANY) | (spaces & 0x1F)
      }
    guard let text = unsafe json_dumps(tree, flags) else { throw .unencodable }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
  }

  /// Builds a libjansson tree that the caller owns; `nil` if no memory is left or a string is not UTF-8.
  private func makeTree() -> UnsafeMutablePointer<json_t>? {
    switch self {
    case .null: return unsafe json_null()
    case .bool(let value): return unsafe value ? json_true() : json_false()
    case .integer(let value): return unsafe json_integer(value)
    case .real(let value): return unsafe json_real(value)
    case .string(let value):
      var value = value
      return value.withUTF8 { bytes in
        unsafe bytes.withMemoryRebound(to: CChar.self) { unsafe json_stringn($0.baseAddress, $0.count) }
      }
    case .array(let elements):
      guard let node = unsafe json_array() else { return nil }
      for element in elements {
        // _new: the array takes ownership of the element, even if the call fails.
        guard let child = unsafe element.makeTree(), unsafe json_array_append_new(node, child) == 0 else {
          unsafe json_decref(node)
          return nil
        }
      }
      return unsafe node
    case .object(let object):
      guard let node = unsafe json_object() else { return nil }
      for member in object.members {
        // libjansson would truncate the name at a NUL.
        guard !member.name.utf8.contains(0), let child = unsafe member.value.makeTree(),
          unsafe json_object_set_new(node, member.name, child) == 0
        else {
          unsafe json_decref(node)
          return nil
        }
      }
      return unsafe node
    }
  }
}
