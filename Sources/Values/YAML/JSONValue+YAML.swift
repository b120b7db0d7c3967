internal import CYAML
package import JSON

extension JSONValue {
  /// Parses the first document of a YAML 1.1 text, which may be JSON; `null` for an empty text.
  ///
  /// A plain scalar is null, true, false, or a text. Numbers become texts, and the caller converts them.
  /// libyaml's document exists only during this call.
  ///
  /// - Throws: `YAMLError`.
  package init(parsingYAML text: [UInt8]) throws(YAMLError) {
    var parser = unsafe yaml_parser_t()
    guard unsafe yaml_parser_initialize(&parser) == 1 else { throw .outOfMemory }
    defer { unsafe yaml_parser_delete(&parser) }
    // libyaml keeps the pointer, so the text needs memory that does not move.
    let input = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(text.count, 1))
    defer { unsafe input.deallocate() }
    _ = unsafe input.update(fromContentsOf: text)
    unsafe yaml_parser_set_input_string(&parser, input.baseAddress, text.count)
    var document = unsafe yaml_document_t()
    guard unsafe yaml_parser_load(&parser, &document) == 1 else {
      let reason = unsafe parser.problem.map { unsafe String(cString: $0) } ?? "no YAML"
      throw unsafe .malformed(
        reason: reason, line: Int(parser.problem_mark.line) + 1, column: Int(parser.problem_mark.column) + 1)
    }
    defer { unsafe yaml_document_delete(&document) }
    guard let root = unsafe yaml_document_get_root_node(&document) else {
      self = .null
      return
    }
    var reader = unsafe DocumentReader(&document)
    self = unsafe try reader.value(root, depth: 0)
  }
}

/// Copies libyaml's nodes. Each alias is a copy of its node, so a small text may expand without end; hence the limits.
@safe private struct DocumentReader {
  /// Deepest nesting.
  private static let deepest = 64
  /// Most nodes.
  private static let most = 100_000
  /// Longest sum of all texts, in bytes.
  private static let mostBytes = 16 << 20

  private let document: UnsafeMutablePointer<yaml_document_t>
  private var count = 0
  /// Length of all texts so far, in bytes: thousands of aliases may copy a long text.
  private var bytes = 0

  init(_ document: UnsafeMutablePointer<yaml_document_t>) { unsafe self.document = document }

  mutating func value(_ node: UnsafeMutablePointer<yaml_node_t>, depth: Int) throws(YAMLError) -> JSONValue {
    count += 1
    let line = unsafe Int(node.pointee.start_mark.line) + 1
    guard depth < DocumentReader.deepest, count < DocumentReader.most else { throw .excessive(line: line) }
    switch unsafe node.pointee.type {
    case YAML_SCALAR_NODE:
      try take(unsafe node.pointee.data.scalar.length, line)
      return unsafe DocumentReader.scalar(node)
    case YAML_SEQUENCE_NODE:
      var elements: [JSONValue] = []
      let items = unsafe node.pointee.data.sequence.items
      var item = unsafe items.start
      while let current = unsafe item, unsafe current != items.top {
        elements.append(try child(unsafe current.pointee, depth))
        unsafe item = current + 1
      }
      return .array(elements)
    case YAML_MAPPING_NODE:
      var members: [JSONObject.Member] = []
      let pairs = unsafe node.pointee.data.mapping.pairs
      var pair = unsafe pairs.start
      while let current = unsafe pair, unsafe current != pairs.top {
        guard let key = unsafe yaml_document_get_node(document, current.pointee.key),
          unsafe key.pointee.type == YAML_SCALAR_NODE
        else { throw .keyIsNoText(line: line) }
        try take(unsafe key.pointee.data.scalar.length, line)
        let name = unsafe DocumentReader.text(key)
        members.append(JSONObject.Member(name: name, value: try child(unsafe current.pointee.value, depth)))
        unsafe pair = current + 1
      }
      return .object(JSONObject(members))
    default: return .null
    }
  }

  private mutating func take(_ length: Int, _ line: Int) throws(YAMLError) {
    bytes += length
    guard bytes < DocumentReader.mostBytes else { throw .excessive(line: line) }
  }

  private mutating func child(_ number: Int32, _ depth: Int) throws(YAMLError) -> JSONValue {
    guard let node = unsafe yaml_document_get_node(document, number) else { return .null }
    return unsafe try value(node, depth: depth + 1)
  }

  private static func scalar(_ node: UnsafeMutablePointer<yaml_node_t>) -> JSONValue {
    let text = unsafe text(node)
    guard unsafe node.pointee.data.scalar.style == YAML_PLAIN_SCALAR_STYLE else { return .string(text) }
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE": return .bool(true)
    case "false", "False", "FALSE": return .bool(false)
    default: return .string(text)
    }
  }

  private static func text(_ node: UnsafeMutablePointer<yaml_node_t>) -> String {
    let scalar = unsafe node.pointee.data.scalar
    return unsafe String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
  }
}
