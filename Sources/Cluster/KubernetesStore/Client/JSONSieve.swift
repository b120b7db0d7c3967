/// Filters JSON texts while their bytes arrive, and keeps only selected members. A node may have tens of kilobytes of
/// which a few hundred bytes are needed.
///
/// Kept text is not parsed here. In skipped text only the nesting is checked.
struct JSONSieve {
  /// Selection of a value's parts. A value of another kind than the shape selects from is kept whole.
  indirect enum Shape: Sendable {
    /// The whole value.
    case all
    /// Selected members of an object.
    case members([String: Shape])
    /// Each element of an array as a separate piece, so that the array is never in memory as a whole.
    case elements(Shape)
  }

  /// A complete text, or one element of an array in it.
  struct Piece: Equatable {
    let isElement: Bool
    let text: [UInt8]
  }

  /// An object or array whose parts are selected.
  private struct Frame {
    let members: [String: Shape]
    /// Selection of each element of an array; `nil` for an object.
    let element: Shape?
    var hasMembers = false
  }

  private enum Phase {
    /// Before a value; `next` selects its parts.
    case value
    /// After `{`, or after a comma in an object.
    case key
    case keyText
    case colon
    /// Inside a value that is kept or skipped as a whole.
    case run
    /// After a member or an element.
    case after
  }

  private let shape: Shape
  /// Longest piece, in bytes.
  private let limit: Int
  private var frames: [Frame] = []
  private var phase = Phase.value
  /// Selection of the next value; `nil` to skip it.
  private var next: Shape?
  private var isInText = false
  private var output: [UInt8] = []
  /// Start of the present element in the output.
  private var mark = 0
  private var key: [UInt8] = []
  /// Longest name of a member, in bytes: a name without end would exhaust the memory.
  private static let keyLimit = 1 << 16
  private var run = Run()

  /// State inside a value that is kept or skipped as a whole.
  private struct Run {
    var isKept = false
    var depth = 0
    var isString = false
    var isEscaped = false
    var isScalar = false
  }

  /// Makes a sieve.
  ///
  /// - Parameters:
  ///   - shape: selection of each text's parts.
  ///   - limit: longest piece, in bytes.
  init(_ shape: Shape, limit: Int = 16 << 20) {
    self.shape = shape
    self.limit = limit
    next = shape
  }

  /// Whether all texts so far are complete.
  var isBetweenTexts: Bool { !isInText }

  /// Takes the next bytes.
  ///
  /// - Returns: the pieces that these bytes complete.
  /// - Throws: `JSONSieveError` if the bytes are not JSON objects, or a piece is too long.
  mutating func add(_ bytes: [UInt8]) throws(JSONSieveError) -> [Piece] {
    var pieces: [Piece] = []
    var position = 0
    while position < bytes.count {
      if phase == .run {
        position = passRun(bytes, from: position)
        guard output.count <= limit else { throw .tooLong(limitBytes: limit) }
        if phase == .after { complete(&pieces) }
        continue
      }
      let byte = bytes[position]
      position += 1
      if phase == .keyText {
        passKey(byte)
        guard key.count <= JSONSieve.keyLimit else { throw .tooLong(limitBytes: JSONSieve.keyLimit) }
      } else if !JSONSieve.isSpace(byte) {
        try take(byte, &pieces)
        // The scan of a scalar starts at its first byte, which is this one.
        if phase == .run { position -= run.isScalar ? 1 : 0 }
      }
    }
    return pieces
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\t")
  }

  // MARK: Structure

  private mutating func take(_ byte: UInt8, _ pieces: inout [Piece]) throws(JSONSieveError) {
    switch (phase, byte) {
    case (.value, UInt8(ascii: "]")) where frames.last?.element != nil && output.last == UInt8(ascii: "["):
      close(byte, &pieces)
    case (.value, _): try beginValue(byte)
    case (.key, UInt8(ascii: "\"")):
      key = []
      phase = .keyText
    case (.key, UInt8(ascii: "}")) where frames.last?.hasMembers != true: close(byte, &pieces)
    case (.colon, UInt8(ascii: ":")): phase = .value
    case (.after, UInt8(ascii: ",")):
      if let element = frames.last?.element {
        next = element
        phase = .value
      } else {
        phase = .key
      }
    case (.after, UInt8(ascii: "}")) where frames.last?.element == nil,
      (.after, UInt8(ascii: "]")) where frames.last?.element != nil:
      close(byte, &pieces)
    default: throw .malformed(byte)
    }
  }

  private mutating func beginValue(_ byte: UInt8) throws(JSONSieveError) {
    guard isInText || byte == UInt8(ascii: "{") else { throw .malformed(byte) }
    guard ![UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ","), UInt8(ascii: ":")].contains(byte) else {
      throw .malformed(byte)
    }
    isInText = true
    switch next {
    case .members(let members) where byte == UInt8(ascii: "{"):
      output.append(byte)
      frames.append(Frame(members: members, element: nil))
      phase = .key
    case .elements(let element) where byte == UInt8(ascii: "["):
      output.append(byte)
      mark = output.count
      frames.append(Frame(members: [:], element: element))
      next = element
      phase = .value
    default:
      run = Run(isKept: next != nil)
      switch byte {
      case UInt8(ascii: "{"), UInt8(ascii: "["): run.depth = 1
      case UInt8(ascii: "\""): run.isString = true
      default: run.isScalar = true
      }
      if run.isKept, !run.isScalar { output.append(byte) }
      phase = .run
    }
  }

  private mutating func close(_ byte: UInt8, _ pieces: inout [Piece]) {
    output.append(byte)
    frames.removeLast()
    complete(&pieces)
  }

  /// Ends a value.
  private mutating func complete(_ pieces: inout [Piece]) {
    phase = .after
    guard let frame = frames.last else {
      pieces.append(Piece(isElement: false, text: output))
      output = []
      isInText = false
      next = shape
      phase = .value
      return
    }
    if frame.element != nil {
      pieces.append(Piece(isElement: true, text: Array(output[mark...])))
      output.removeLast(output.count - mark)
    } else {
      frames[frames.count - 1].hasMembers = true
    }
  }

  // MARK: Bytes

  /// Reads a byte of a key. Keys are compared without decoding escapes, which API servers do not use in them.
  private mutating func passKey(_ byte: UInt8) {
    if run.isEscaped {
      run.isEscaped = false
    } else if byte == UInt8(ascii: "\\") {
      run.isEscaped = true
    } else if byte == UInt8(ascii: "\"") {
      phase = .colon
      next = frames.last?.members[String(decoding: key, as: UTF8.self)]
      guard next != nil else { return }
      if output.last != UInt8(ascii: "{") { output.append(UInt8(ascii: ",")) }
      output.append(UInt8(ascii: "\""))
      output += key
      output += [UInt8(ascii: "\""), UInt8(ascii: ":")]
      return
    }
    key.append(byte)
  }

  /// Reads on inside a value.
  ///
  /// - Returns: the position after the last byte that belongs to it.
  private mutating func passRun(_ bytes: [UInt8], from start: Int) -> Int {
    var position = start
    var run = run
    scan: while position < bytes.count {
      let byte = bytes[position]
      if run.isScalar {
        if JSONSieve.isSpace(byte) || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}")
          || byte == UInt8(ascii: "]")
        {
          phase = .after
          break scan
        }
        position += 1
        continue
      }
      position += 1
      if run.isString {
        if run.isEscaped {
          run.isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          run.isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          run.isString = false
          if run.depth == 0 {
            phase = .after
            break scan
          }
        }
      } else if byte == UInt8(ascii: "\"") {
        run.isString = true
      } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
        run.depth += 1
      } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
        run.depth -= 1
        if run.depth == 0 {
          phase = .after
          break scan
        }
      }
    }
    if run.isKept { output += bytes[start..<position] }
    self.run = run
    return position
  }
}

/// Errors of a sieve.
enum JSONSieveError: Error, Equatable, CustomStringConvertible {
  /// A byte that JSON does not allow there.
  case malformed(UInt8)
  /// A piece or the name of a member is too long.
  case tooLong(limitBytes: Int)

  var description: String {
    switch self {
    case .malformed(let byte):
      "no JSON, at \(byte > 0x20 && byte < 0x7F ? "'\(String(UnicodeScalar(byte)))'" : "byte \(byte)")"
    case .tooLong(let limit): "an object, or the name of a member, of more than \(limit) bytes"
    }
  }
}
