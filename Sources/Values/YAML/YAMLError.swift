/// Errors of reading YAML. Lines and columns count from 1.
package enum YAMLError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The text is not YAML.
  case malformed(reason: String, line: Int, column: Int)
  /// The text exceeds the limits on size or depth.
  case excessive(line: Int)
  /// A key is a list or a map, which JSON does not allow.
  case keyIsNoText(line: Int)
  /// No memory is left.
  case outOfMemory

  /// The error, for messages.
  package var description: String {
    switch self {
    case .malformed(let reason, let line, let column): "\(reason) at line \(line), column \(column)"
    case .excessive(let line): "too much, or nested too deeply, at line \(line)"
    case .keyIsNoText(let line): "a key that is no text at line \(line)"
    case .outOfMemory: "no memory is left to read it"
    }
  }
}
