package import JSON

extension JSONError {
  /// Description without parts of the text, for a text that may contain secrets.
  package var discreetDescription: String {
    switch self {
    case .malformed(let reason, let line, let column):
      // libjansson's messages quote the text: "unexpected newline near '…'".
      let end = reason.firstRange(of: " near ")?.lowerBound ?? reason.endIndex
      return "\(reason[..<end]) at line \(line), column \(column)"
    case .wrongKind(let field, let expected, let found): return "\(field) must be \(expected), but is \(found.kind)"
    case .missing, .unencodable: return description
    }
  }
}
