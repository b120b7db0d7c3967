/// A protocol buffer message with the field types that CRI needs: numbers, texts and nested messages.
struct ProtocolBuffer {
  private(set) var bytes: [UInt8] = []

  init(_ bytes: [UInt8] = []) { self.bytes = bytes }

  /// Appends a field of wire type 0.
  mutating func put(_ field: Int, _ number: Int) {
    put(varint: field << 3)
    put(varint: number)
  }

  /// Appends a field of wire type 2.
  mutating func put(_ field: Int, _ text: String) { put(field, ProtocolBuffer(Array(text.utf8))) }

  mutating func put(_ field: Int, _ message: ProtocolBuffer) {
    put(varint: field << 3 | 2)
    put(varint: message.bytes.count)
    bytes += message.bytes
  }

  private mutating func put(varint value: Int) {
    var rest = UInt64(bitPattern: Int64(value))
    while rest > 0x7F {
      bytes.append(UInt8(rest & 0x7F | 0x80))
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// All values of a text or message field.
  func messages(_ field: Int) -> [ProtocolBuffer] {
    fields().compactMap { $0.number == field ? $0.content.map { ProtocolBuffer($0) } : nil }
  }

  /// The first text of a field; empty if there is none, because CRI omits empty fields.
  func text(_ field: Int) -> String { messages(field).first.map { String(decoding: $0.bytes, as: UTF8.self) } ?? "" }

  /// The number of a field; 0 if there is none, because CRI omits zero fields.
  func number(_ field: Int) -> Int { fields().first { $0.number == field }?.value ?? 0 }

  private func fields() -> [(number: Int, value: Int?, content: [UInt8]?)] {
    var rest = bytes[...]
    var fields: [(number: Int, value: Int?, content: [UInt8]?)] = []
    while let tag = ProtocolBuffer.varint(&rest), let value = ProtocolBuffer.varint(&rest) {
      if tag & 7 == 2 {
        fields.append((tag >> 3, nil, Array(rest.prefix(value))))
        rest = rest.dropFirst(value)
      } else {
        fields.append((tag >> 3, value, nil))
      }
    }
    return fields
  }

  private static func varint(_ rest: inout ArraySlice<UInt8>) -> Int? {
    guard let length = rest.prefix(10).firstIndex(where: { $0 < 0x80 }).map({ $0 - rest.startIndex + 1 }) else {
      return nil
    }
    let value = rest.prefix(length).reversed().reduce(UInt64(0)) { $0 << 7 | UInt64($1 & 0x7F) }
    rest = rest.dropFirst(length)
    return Int(truncatingIfNeeded: value)
  }
}
