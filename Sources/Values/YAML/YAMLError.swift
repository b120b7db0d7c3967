/// Why a text is not the YAML that can be read; lines and columns count from 1.
package enum YAMLError: Error, Equatable, Sendable, CustomStringConvertible {
  case malformed(reason: String, line: Int, column: Int)
  /// More, or more deeply nested, than anything that people write.
  case excessive(line: Int)
  /// A key that is a list or a map, which JSON can't have.
  case keyIsNoText(line: Int)
  case outOfMemory

  package var description: String {
    switch self {
    case .malformed(let reason, let line, let column): "\(reason) at line \(line), column \(column)"
    case .excessive(let line): "too much, or nested too deeply, at line \(line)"
    case .keyIsNoText(let line): "a key that is no text at line \(line)"
    case .outOfMemory: "no memory is left to read it"
    }
  }
}
