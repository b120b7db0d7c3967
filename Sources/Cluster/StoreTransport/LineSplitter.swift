/// Splits a stream of bytes into lines, without empty lines.
package struct LineSplitter {
  /// Longest line, in bytes.
  let limit: Int
  private var pending: [UInt8] = []

  /// Makes a splitter.
  ///
  /// - Parameter limit: longest line, in bytes.
  package init(limit: Int) { self.limit = limit }

  /// Takes the next bytes.
  ///
  /// - Returns: the lines that these bytes complete.
  /// - Throws: `LineTooLong`.
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

  /// Bytes after the last line end; `nil` if there are none.
  package var rest: [UInt8]? { pending.isEmpty ? nil : pending }
}

/// A line that exceeds the limit.
package struct LineTooLong: Error, CustomStringConvertible {
  let limitBytes: Int
  /// The limit, in words.
  package var description: String { "a line of more than \(limitBytes) bytes" }
}
