/// Cuts a stream of bytes into lines; empty lines are passed over.
package struct LineSplitter {
  /// The longest line, in bytes.
  let limit: Int
  private var pending: [UInt8] = []

  package init(limit: Int) { self.limit = limit }

  /// Takes the next bytes and returns the lines that they complete.
  package mutating func add(_ bytes: [UInt8]) throws(LineTooLong) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var start = bytes.startIndex
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      let line = pending + bytes[start..<end]
      pending = []
      guard line.count <= limit else { throw LineTooLong(limitBytes: limit) }
      if !line.isEmpty { lines.append(line) }
      start = end + 1
    }
    guard pending.count + bytes.count - start <= limit else { throw LineTooLong(limitBytes: limit) }
    pending += bytes[start...]
    return lines
  }

  /// What came behind the last line end, `nil` for nothing.
  package var rest: [UInt8]? { pending.isEmpty ? nil : pending }
}

/// A line beyond all measure.
package struct LineTooLong: Error, CustomStringConvertible {
  let limitBytes: Int
  package var description: String { "a line of more than \(limitBytes) bytes" }
}
