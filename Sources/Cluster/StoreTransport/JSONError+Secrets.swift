package import JSON

extension JSONError {
  /// What is wrong without anything of the text itself, for one in which secrets may stand.
  package var discreetDescription: String {
    switch self {
    case .malformed(let reason, let line, let column):
      // libjansson says: "unexpected newline near '…'".
      let end = reason.firstRange(of: " near ")?.lowerBound ?? reason.endIndex
      return "\(reason[..<end]) at line \(line), column \(column)"
    case .wrongKind(let field, let expected, let found): return "\(field) must be \(expected), but is \(found.kind)"
    case .missing, .unencodable: return description
    }
  }
}
