/// Reads JSON texts as their bytes come, and keeps only the members that are asked for: of a cluster's nodes, which may
/// be tens of kilobytes each, some hundred bytes are needed.
///
/// What is kept is still to be parsed; what is passed over only has to be balanced.
struct JSONSieve {
  /// What to keep of a value; a value of another kind than the shape is for is kept whole.
  indirect enum Shape: Sendable {
    case all
    /// Of an object, these members.
    case members([String: Shape])
    /// Of an array, each element as a piece of its own, so that the array is never there as a whole.
    case elements(Shape)
  }

  /// A whole text, or one element of an array in it.
  struct Piece: Equatable {
    let isElement: Bool
    let text: [UInt8]
  }

  /// An object or array that is looked into.
  private struct Frame {
    let members: [String: Shape]
    /// Of an array; `nil` for an object.
    let element: Shape?
    var hasMembers = false
  }

  private enum Phase {
    /// Before a value, of which `next` tells what to keep.
    case value
    /// Behind `{`, or behind a comma in an object.
    case key
    case keyText
    case colon
    /// Inside a value that is kept or passed over as a whole.
    case run
    /// Behind a member or an element.
    case behind
  }

  private let shape: Shape
  /// The most that is kept of one piece, in bytes.
  private let limit: Int
  private var frames: [Frame] = []
  private var phase = Phase.value
  /// `nil`: nothing of it.
  private var next: Shape?
  private var isInText = false
  private var output: [UInt8] = []
  /// Where the present element begins in the output.
  private var mark = 0
  private var key: [UInt8] = []
  /// The longest name of a member, kept or not; a name that never ends would else fill the memory.
  private static let keyLimit = 1 << 16
  private var run = Run()

  /// The state inside a value that is not looked into.
  private struct Run {
    var isKept = false
    var depth = 0
    var isString = false
    var isEscaped = false
    var isScalar = false
  }

  init(_ shape: Shape, limit: Int = 16 << 20) {
    self.shape = shape
    self.limit = limit
    next = shape
  }

  /// Whether every text that began has come to its end.
  var isBetweenTexts: Bool { !isInText }

  /// Takes the next bytes and returns the pieces that they complete.
  mutating func add(_ bytes: [UInt8]) throws(JSONSieveError) -> [Piece] {
    var pieces: [Piece] = []
    var position = 0
    while position < bytes.count {
      if phase == .run {
        position = passRun(bytes, from: position)
        guard output.count <= limit else { throw .tooLong(limitBytes: limit) }
        if phase == .behind { complete(&pieces) }
        continue
      }
      let byte = bytes[position]
      position += 1
      if phase == .keyText {
        passKey(byte)
        guard key.count <= JSONSieve.keyLimit else { throw .tooLong(limitBytes: JSONSieve.keyLimit) }
      } else if !JSONSieve.isSpace(byte) {
        try take(byte, &pieces)
        // A scalar ends in front of the byte that shows its end.
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
    case (.behind, UInt8(ascii: ",")):
      if let element = frames.last?.element {
        next = element
        phase = .value
      } else {
        phase = .key
      }
    case (.behind, UInt8(ascii: "}")) where frames.last?.element == nil,
      (.behind, UInt8(ascii: "]")) where frames.last?.element != nil:
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

  /// A value has come to its end.
  private mutating func complete(_ pieces: inout [Piece]) {
    phase = .behind
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

  /// Keys are compared as they stand: nobody escapes letters.
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

  /// Goes on inside a value as far as the bytes reach, and returns where it stopped.
  private mutating func passRun(_ bytes: [UInt8], from start: Int) -> Int {
    var position = start
    var run = run
    scan: while position < bytes.count {
      let byte = bytes[position]
      if run.isScalar {
        if JSONSieve.isSpace(byte) || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}")
          || byte == UInt8(ascii: "]")
        {
          phase = .behind
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
            phase = .behind
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
          phase = .behind
          break scan
        }
      }
    }
    if run.isKept { output += bytes[start..<position] }
    self.run = run
    return position
  }
}

/// Why no JSON came.
enum JSONSieveError: Error, Equatable, CustomStringConvertible {
  case malformed(UInt8)
  case tooLong(limitBytes: Int)

  var description: String {
    switch self {
    case .malformed(let byte):
      "no JSON, at \(byte > 0x20 && byte < 0x7F ? "'\(String(UnicodeScalar(byte)))'" : "byte \(byte)")"
    case .tooLong(let limit): "an object, or the name of a member, of more than \(limit) bytes"
    }
  }
}
